"""Many mailboxes failing alike are one incident of their provider, or of ours, and not many broken mailboxes (H9)."""
