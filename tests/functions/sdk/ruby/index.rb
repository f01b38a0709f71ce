require_relative "berth_fn"
require_relative "schema"

BerthFn.run(input: ENV["WITH_SCHEMA"] ? SCHEMA : nil) do |input, ctx|
  case input["do"]
  when "echo" then input["value"]
  when "missing" then nil
  when "fail" then raise BerthFn::Error.new("CONFLICT", "it is taken", { a: 1 })
  when "throw" then raise "unexpected"
  when "print"
    puts "printed text"
    $stdout.write("raw text\n")
    system("echo native text")
    "printed"
  when "big" then "x" * (1 << 20)
  when "nan" then { a: Float::NAN }
  when "cycle"
    a = {}
    a["a"] = a
    a
  when "log"
    ctx.log.debug("d")
    ctx.log.info("i", { k: 1 })
    ctx.log.warn("w")
    ctx.log.error("e")
    nil
  when "context"
    { auth: ctx.auth, env: ctx.env, name: ctx.function_name, id: ctx.request_id.length, deadline: ctx.deadline.positive?, url: ctx.alyx.url.start_with?("http://"), token: ctx.alyx.token.length }
  when "invoke" then ctx.alyx.invoke("echo", { x: 1 })
  when "invoke-fails" then ctx.alyx.invoke("refuses")
  when "async" then Thread.new { "later" }.value
  when "term"
    puts "waits for the end"
    $stdout.flush
    sleep 0.01 until ctx.cancelled
    puts "saw the end"
    nil
  when "valid" then "valid"
  else raise BerthFn::Error.new("BAD_REQUEST", "unknown")
  end
end
