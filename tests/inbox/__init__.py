"""Received messages, written for these tests in the manner of the servers they are named after."""
