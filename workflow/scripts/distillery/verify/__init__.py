"""Whether results are those that were written: standing, presence, quick_check; verification is the command's entry."""
