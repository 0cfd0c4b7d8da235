"""The command line: the only folder that knows all rooms. One file a command."""
