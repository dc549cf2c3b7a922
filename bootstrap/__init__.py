"""One short process per boot: environment and hardware become files, then supervisord takes its place."""
