# How the sources are written.
run_counted format scripts/check_format
