"""The customers' pages of campaigns (SPEC K1 to K7)."""
