"""What the commands share: settings, options, output, running."""
