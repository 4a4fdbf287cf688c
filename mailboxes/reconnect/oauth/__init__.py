"""Consent at Google and Microsoft, by social-auth: it attaches a grant to one mailbox and signs nobody in (SPEC R2)."""
