# Functions on Berth in Ruby 2.7 or later: one file, no dependencies. Copy it beside your function.
#
#   require_relative "berth_fn"
#   BerthFn.run(input: { name: { type: "string" } }) { |input, ctx| { message: "Hello, #{input["name"]}!" } }
#
# Whatever your code prints goes to standard error; standard output carries the answer alone.
require "json"
require "net/http"
require "time"
require "uri"

module BerthFn
  # An error with a code that callers see.
  class Error < StandardError
    attr_reader :code, :details

    def initialize(code, message = nil, details = nil)
      super(message || code)
      @code = code
      @details = details
    end
  end

  class Log
    def initialize(entries)
      @entries = entries
    end

    %w[debug info warn error].each do |level|
      define_method(level) do |message, data = nil|
        entry = { "level" => level, "message" => message.to_s, "timestamp" => Time.now.utc.iso8601(3) }
        entry["data"] = data.is_a?(Hash) ? data : { "value" => data } unless data.nil?
        @entries << entry
      end
    end
  end

  class Alyx
    attr_reader :url, :token

    def initialize(url, token)
      @url = url
      @token = token
    end

    # The status and body of a request to the internal API.
    def fetch(path, method: "GET", body: nil, headers: {})
      target = URI.join(@url, path)
      request = Net::HTTP.const_get(method.capitalize).new(target)
      request["Authorization"] = "Bearer #{@token}"
      request["Content-Type"] = "application/json"
      headers.each { |name, value| request[name] = value }
      request.body = body.is_a?(String) ? body : JSON.generate(body) if body
      answer = Net::HTTP.start(target.host, target.port) { |http| http.request(request) }
      [answer.code.to_i, answer.body]
    end

    # The output of another function; its error is raised.
    def invoke(name, input = {})
      _, body = fetch("/internal/v1/invoke/#{URI.encode_www_form_component(name)}", method: "POST", body: input)
      answer = JSON.parse(body)
      return answer["output"] if answer["success"]

      error = answer["error"] || {}
      raise Error.new(error["code"] || "FUNCTION_ERROR", error["message"], error["details"])
    end
  end

  # What a handler knows of its call. Tests make one up: `BerthFn::Context.new`.
  class Context
    attr_reader :auth, :env, :request_id, :function_name, :deadline, :log, :alyx
    attr_accessor :cancelled

    def initialize(request = {}, logs = [])
      given = request["context"] || {}
      @auth = given["auth"]
      @env = given["env"] || {}
      @request_id = request["request_id"] || ""
      @function_name = request["function_name"] || ""
      deadline = ENV["ALYX_DEADLINE_MS"]
      @deadline = given["deadline_ms"] || (deadline && deadline.to_i)
      @cancelled = false
      @log = Log.new(logs)
      @alyx = Alyx.new(given["alyx_url"] || "", given["internal_token"] || "")
    end
  end

  module_function

  def type_of(value)
    case value
    when nil then "null"
    when true, false then "boolean"
    when Integer then "integer"
    when Float then value.finite? && value == value.floor ? "integer" : "number"
    when String then "string"
    when Array then "array"
    else "object"
    end
  end

  def violation(field, rule, expected, got)
    Error.new("VALIDATION_ERROR", "#{field}: #{rule}: expected #{JSON.generate(expected)}, got #{JSON.generate(got)}",
              { "field" => field, "rule" => rule, "expected" => expected, "got" => got })
  end

  def check(field, value, rules)
    kind = type_of(value)
    wanted = rules["type"]
    raise violation(field, "type", wanted, kind) if wanted && kind != wanted && !(wanted == "number" && kind == "integer")
    raise violation(field, "enum", rules["enum"], value) if rules["enum"] && !rules["enum"].include?(value)

    if kind == "string"
      least = rules["minLength"] || rules["min_length"]
      most = rules["maxLength"] || rules["max_length"]
      raise violation(field, "minLength", least, value.length) if least && value.length < least
      raise violation(field, "maxLength", most, value.length) if most && value.length > most
      raise violation(field, "pattern", rules["pattern"], value) if rules["pattern"] && !value.match?(Regexp.new(rules["pattern"]))
    end
    if value.is_a?(Numeric)
      raise violation(field, "min", rules["min"], value) if rules["min"] && value < rules["min"]
      raise violation(field, "max", rules["max"], value) if rules["max"] && value > rules["max"]
    end
    value.each_with_index { |item, i| check("#{field}[#{i}]", item, rules["items"]) } if kind == "array" && rules["items"]
  end

  def with_text_keys(value)
    case value
    when Hash then value.to_h { |key, one| [key.to_s, with_text_keys(one)] }
    when Array then value.map { |one| with_text_keys(one) }
    else value
    end
  end

  # Raises the first violation of `schema` in `input`.
  def validate(input, schema)
    with_text_keys(schema || {}).each do |field, rules|
      value = input[field]
      if value.nil?
        raise violation(field, "required", true, nil) if rules["required"] == true && rules["optional"] != true

        next
      end
      check(field, value, rules)
    end
  end

  PLAIN = [NilClass, TrueClass, FalseClass, Integer, String, Symbol].freeze

  # What JSON cannot say is an error, not a string that looks like something.
  def plain?(value, depth = 0)
    return false if depth > 500

    case value
    when *PLAIN then !value.is_a?(String) || value.dup.force_encoding("UTF-8").valid_encoding?
    when Float then value.finite?
    when Array then value.all? { |one| plain?(one, depth + 1) }
    when Hash then value.all? { |key, one| (key.is_a?(String) || key.is_a?(Symbol)) && plain?(one, depth + 1) }
    else false
    end
  end

  def to_json_text(value)
    raise Error.new("FUNCTION_ERROR", "result is not JSON") unless plain?(value)

    JSON.generate(value, max_nesting: 0)
  end

  # Answers the request with what the block returns. Does nothing when it is loaded in a test.
  def run(input: nil, &handler)
    return handler unless ENV["ALYX_FUNCTION_NAME"]

    answer_to = $stdout.dup
    $stdout.flush
    $stdout.reopen($stderr)
    answer_to.sync = true
    answer_to.binmode
    logs = []
    request_id = "unknown"
    begin
      request = JSON.parse($stdin.binmode.read.force_encoding("UTF-8"), max_nesting: 0)
      request_id = request["request_id"] || request_id
      context = Context.new(request, logs)
      Signal.trap("TERM") { context.cancelled = true }
      given = request["input"] || {}
      validate(given, input)
      output = to_json_text(handler.call(given, context))
      answer = %({"request_id":#{JSON.generate(request_id)},"success":true,"output":#{output},"logs":#{to_json_text(logs)}})
    rescue Exception => error # rubocop:disable Lint/RescueException
      shown = { "code" => "FUNCTION_ERROR", "message" => error.message }
      if error.is_a?(Error)
        shown["code"] = error.code.to_s
        shown["details"] = error.details.is_a?(Hash) ? error.details : { "value" => error.details } unless error.details.nil?
      else
        warn error.full_message(highlight: false)
      end
      shown = { "code" => shown["code"], "message" => "the error is not JSON" } unless plain?(shown)
      said = plain?(logs) ? JSON.generate(logs) : "[]"
      answer = %({"request_id":#{JSON.generate(request_id)},"success":false,"error":#{JSON.generate(shown)},"logs":#{said}})
    end
    $stderr.flush
    answer_to.write(answer)
    answer_to.flush
    exit!(0)
  end
end
