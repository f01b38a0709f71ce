# Exported telemetry, read with OpenTelemetry's own message types; the package is kept outside the clone.
telemetry_python="$cache_root/opentelemetry-1.27.0"
if ! "$telemetry_python/bin/python" -c 'import opentelemetry.proto.collector.trace.v1.trace_service_pb2' 2>/dev/null; then
  say "installing opentelemetry-proto into $telemetry_python"
  { python3 -m venv "$telemetry_python" && "$telemetry_python/bin/pip" install --quiet 'opentelemetry-proto==1.27.0'; } >&2 || say_error "opentelemetry-proto could not be installed"
fi
run_counted telemetry "$telemetry_python/bin/python" tests/telemetry/run.py "build/$preset/bin/berth" "build/$preset/test-results/telemetry.json"
