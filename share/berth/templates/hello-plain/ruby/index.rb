# A function in plain Ruby: one JSON request on standard input, one JSON answer on standard output.
require "json"

request = JSON.parse($stdin.read)
name = request["input"].fetch("name", "World")
$stdout.write(JSON.generate({ success: true, output: { message: "Hello, #{name}!" } }))
