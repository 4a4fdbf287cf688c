"""What is known of mail providers: presets as data, found by domain."""
