"""Reads received messages: what they say, and whether a person, a machine or a mail server sent them."""
