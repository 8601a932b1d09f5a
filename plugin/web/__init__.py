"""What is reached over HTTP: triggers, health, config links and the settings pages."""
