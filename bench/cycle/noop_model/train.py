"""Never run: the image `modelfleet-noop` ends a job at once. A fleet's sources must hold an entry point."""
