require_relative "berth_fn"

BerthFn.run(input: { name: { type: "string", maxLength: 80 } }) do |input, ctx|
  name = input.fetch("name", "World")
  ctx.log.info("greeting", { name: name })
  raise BerthFn::Error.new("VALIDATION_ERROR", "nobody cannot be greeted", { field: "name" }) if name == "nobody"

  { message: "Hello, #{name}!", runtime: "ruby" }
end
