"""Messages out: queued, claimed, sent once, and settled (SPEC K4). Campaigns, warm-up and people put them here."""
