"""Evidence in, status out: one door, one writer."""
