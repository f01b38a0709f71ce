# A function in plain shell: one JSON request on standard input, one JSON answer on standard output.
cat > /dev/null
printf '{"success": true, "output": {"message": "Hello from %s!"}}\n' "$ALYX_FUNCTION_NAME"
