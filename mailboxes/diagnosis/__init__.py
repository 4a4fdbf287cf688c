"""What a failed step means: pure rules over values, no Django, no history, no clock."""
