//! Functions on Berth in Rust 2021, with the standard library alone. Copy this file beside your main.rs.
//!
//! ```ignore
//! mod berth_fn;
//! use berth_fn::{FnError, Json};
//! fn main() {
//!     berth_fn::run(|input, ctx| {
//!         ctx.log.info("greeting", Json::Null);
//!         Ok(Json::object([("message", Json::from("Hello"))]))
//!     });
//! }
//! ```
//!
//! Whatever your code prints goes to standard error, also what libraries write to descriptor 1; the answer alone goes to
//! standard output.
#![allow(dead_code)]
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A JSON value. Numbers keep their text; members keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.to_string())
    }
}
impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}
impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}
impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Number(value.to_string())
    }
}
impl From<f64> for Json {
    /// A number that JSON does not have makes the result no JSON.
    fn from(value: f64) -> Self {
        Json::Number(value.to_string())
    }
}
impl From<Vec<Json>> for Json {
    fn from(list: Vec<Json>) -> Self {
        Json::List(list)
    }
}

impl Json {
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }
    /// A member of an object; null when there is none.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map_or(&Json::Null, |(_, value)| value),
            _ => &Json::Null,
        }
    }
    pub fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }
    pub fn number(&self) -> Option<f64> {
        if let Json::Number(text) = self { text.parse().ok() } else { None }
    }
    pub fn list(&self) -> &[Json] {
        if let Json::List(list) = self { list } else { &[] }
    }
    pub fn is_null(&self) -> bool {
        *self == Json::Null
    }

    pub fn parse(text: &str) -> Result<Json, String> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == reader.text.len() { Ok(value) } else { Err(format!("more at byte {}", reader.at)) }
    }

    /// None when it holds a number that JSON does not have.
    pub fn write(&self) -> Option<String> {
        let mut out = String::new();
        self.append(&mut out).then_some(out)
    }
    fn append(&self, out: &mut String) -> bool {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => {
                if text.parse::<f64>().map_or(true, |number| !number.is_finite() && !text.contains(['e', 'E'])) {
                    return false;
                }
                out.push_str(text);
            }
            Json::Text(text) => quote(text, out),
            Json::List(list) => {
                out.push('[');
                for (i, one) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    if !one.append(out) {
                        return false;
                    }
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    if !value.append(out) {
                        return false;
                    }
                }
                out.push('}');
            }
        }
        true
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at byte {}", self.at))
    }
    fn space(&mut self) {
        while self.at < self.text.len() && b" \t\r\n".contains(&self.text[self.at]) {
            self.at += 1;
        }
    }
    fn peek(&self) -> u8 {
        *self.text.get(self.at).unwrap_or(&0)
    }
    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        self.wrong("no value")
    }
    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > 512 {
            return self.wrong("too deep");
        }
        self.space();
        match self.peek() {
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                loop {
                    self.space();
                    if self.peek() == b'}' && members.is_empty() {
                        break;
                    }
                    let name = self.string()?;
                    self.space();
                    if self.peek() != b':' {
                        return self.wrong("no colon");
                    }
                    self.at += 1;
                    members.push((name, self.value(depth + 1)?));
                    self.space();
                    if self.peek() != b',' {
                        break;
                    }
                    self.at += 1;
                }
                if self.peek() != b'}' {
                    return self.wrong("no end of the object");
                }
                self.at += 1;
                Ok(Json::Object(members))
            }
            b'[' => {
                self.at += 1;
                let mut list = Vec::new();
                loop {
                    self.space();
                    if self.peek() == b']' && list.is_empty() {
                        break;
                    }
                    list.push(self.value(depth + 1)?);
                    self.space();
                    if self.peek() != b',' {
                        break;
                    }
                    self.at += 1;
                }
                if self.peek() != b']' {
                    return self.wrong("no end of the list");
                }
                self.at += 1;
                Ok(Json::List(list))
            }
            b'"' => Ok(Json::Text(self.string()?)),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                while matches!(self.peek(), b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    self.at += 1;
                }
                Ok(Json::Number(String::from_utf8_lossy(&self.text[start..self.at]).into_owned()))
            }
            _ => self.wrong("no value"),
        }
    }
    fn unicode(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        value.map_or_else(|| self.wrong("no escape"), Ok)
    }
    fn string(&mut self) -> Result<String, String> {
        if self.peek() != b'"' {
            return self.wrong("no string");
        }
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(&c) = self.text.get(self.at) else { return self.wrong("no end of the string") };
            self.at += 1;
            match c {
                b'"' => break,
                b'\\' => {
                    let escape = self.peek();
                    self.at += 1;
                    let c = match escape {
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'u' => {
                            let mut value = self.unicode()?;
                            if (0xD800..0xDC00).contains(&value) && self.text[self.at..].starts_with(b"\\u") {
                                self.at += 2;
                                value = 0x10000 + ((value - 0xD800) << 10) + (self.unicode()?.wrapping_sub(0xDC00) & 0x3FF);
                            }
                            char::from_u32(value).unwrap_or('\u{FFFD}')
                        }
                        other => other as char,
                    };
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                c => bytes.push(c),
            }
        }
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_string())
    }
}

/// An error with a code that callers see.
#[derive(Clone, Debug)]
pub struct FnError {
    pub code: String,
    pub message: String,
    pub details: Json,
}

impl FnError {
    pub fn new(code: &str, message: &str, details: Json) -> FnError {
        FnError { code: code.to_string(), message: message.to_string(), details }
    }
}
impl<E: std::error::Error> From<E> for FnError {
    fn from(error: E) -> FnError {
        eprintln!("{error}");
        FnError::new("FUNCTION_ERROR", &error.to_string(), Json::Null)
    }
}

/// What the function has to say.
#[derive(Default)]
pub struct Log {
    entries: std::cell::RefCell<Vec<Json>>,
}

impl Log {
    fn add(&self, level: &str, message: &str, data: Json) {
        let mut members = vec![("level".to_string(), level.into()), ("message".to_string(), message.into())];
        if !data.is_null() {
            let data = if matches!(data, Json::Object(_)) { data } else { Json::object([("value", data)]) };
            members.push(("data".to_string(), data));
        }
        members.push(("timestamp".to_string(), timestamp().into()));
        self.entries.borrow_mut().push(Json::Object(members));
    }
    pub fn debug(&self, message: &str, data: Json) {
        self.add("debug", message, data);
    }
    pub fn info(&self, message: &str, data: Json) {
        self.add("info", message, data);
    }
    pub fn warn(&self, message: &str, data: Json) {
        self.add("warn", message, data);
    }
    pub fn error(&self, message: &str, data: Json) {
        self.add("error", message, data);
    }
}

fn timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = ((now.as_secs() / 86_400) as i64, now.as_secs() % 86_400);
    // Days since 1970 as a date (proleptic Gregorian calendar).
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_part = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_part + 2) / 5 + 1;
    let month = if month_part < 10 { month_part + 3 } else { month_part - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z", second / 3600, second / 60 % 60, second % 60, now.subsec_millis())
}

/// Reaches the host that runs the function.
pub struct Alyx {
    pub url: String,
    pub token: String,
}

impl Alyx {
    /// Status and body of a request to the internal API.
    pub fn fetch(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, String), FnError> {
        let host = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut connection = TcpStream::connect(host)?;
        let body = body.unwrap_or("");
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        )?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Ok((status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_string())))
    }
    /// The output of another function; its error is the error.
    pub fn invoke(&self, name: &str, input: Json) -> Result<Json, FnError> {
        let text = input.write().unwrap_or_else(|| "{}".to_string());
        let (_, body) = self.fetch("POST", &format!("/internal/v1/invoke/{name}"), Some(&text))?;
        let answer = Json::parse(&body).map_err(|what| FnError::new("FUNCTION_ERROR", &what, Json::Null))?;
        if *answer.get("success") == Json::Bool(true) {
            return Ok(answer.get("output").clone());
        }
        let error = answer.get("error");
        Err(FnError::new(error.get("code").text().unwrap_or("FUNCTION_ERROR"), error.get("message").text().unwrap_or(""), error.get("details").clone()))
    }
}

/// What a handler knows of its call.
pub struct Context {
    pub auth: Json,
    pub env: Json,
    pub request_id: String,
    pub function_name: String,
    pub deadline: Option<i64>,
    pub log: Log,
    pub alyx: Alyx,
}

static ENDING: AtomicBool = AtomicBool::new(false);

impl Context {
    pub fn of(request: &Json) -> Context {
        let given = request.get("context");
        Context {
            auth: given.get("auth").clone(),
            env: given.get("env").clone(),
            request_id: request.get("request_id").text().unwrap_or("").to_string(),
            function_name: request.get("function_name").text().unwrap_or("").to_string(),
            deadline: given.get("deadline_ms").number().map(|number| number as i64).or_else(|| std::env::var("ALYX_DEADLINE_MS").ok()?.parse().ok()),
            log: Log::default(),
            alyx: Alyx { url: given.get("alyx_url").text().unwrap_or("").to_string(), token: given.get("internal_token").text().unwrap_or("").to_string() },
        }
    }
    /// Whether the call is being ended.
    pub fn cancelled(&self) -> bool {
        ENDING.load(Ordering::Relaxed)
    }
}

/// What one member of the input has to be; rules that are not set bound nothing.
#[derive(Clone, Default)]
pub struct Field {
    pub name: &'static str,
    pub kind: &'static str,
    pub required: bool,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The language has no regular expressions of its own: a check and the text that names it.
    pub pattern: Option<(&'static str, fn(&str) -> bool)>,
    pub one_of: Vec<Json>,
    pub items: Option<Box<Field>>,
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => match value.number() {
            Some(number) if number == number.trunc() => "integer",
            _ => "number",
        },
        Json::Text(_) => "string",
        Json::List(_) => "array",
        Json::Object(_) => "object",
    }
}

fn violation(field: &str, rule: &str, expected: Json, got: Json) -> FnError {
    let message = format!("{field}: {rule}: expected {}, got {}", expected.write().unwrap_or_default(), got.write().unwrap_or_default());
    FnError::new("VALIDATION_ERROR", &message, Json::object([("field", field.into()), ("rule", rule.into()), ("expected", expected), ("got", got)]))
}

fn check(name: &str, value: &Json, rules: &Field) -> Result<(), FnError> {
    let kind = type_of(value);
    if !rules.kind.is_empty() && kind != rules.kind && !(rules.kind == "number" && kind == "integer") {
        return Err(violation(name, "type", rules.kind.into(), kind.into()));
    }
    if !rules.one_of.is_empty() && !rules.one_of.contains(value) {
        return Err(violation(name, "enum", Json::List(rules.one_of.clone()), value.clone()));
    }
    if let Json::Text(text) = value {
        let length = text.chars().count();
        if let Some(least) = rules.min_length.filter(|least| length < *least) {
            return Err(violation(name, "minLength", (least as i64).into(), (length as i64).into()));
        }
        if let Some(most) = rules.max_length.filter(|most| length > *most) {
            return Err(violation(name, "maxLength", (most as i64).into(), (length as i64).into()));
        }
        if let Some((pattern, _)) = rules.pattern.filter(|(_, matches)| !matches(text)) {
            return Err(violation(name, "pattern", pattern.into(), value.clone()));
        }
    }
    if let Some(number) = value.number() {
        if let Some(least) = rules.min.filter(|least| number < *least) {
            return Err(violation(name, "min", least.into(), value.clone()));
        }
        if let Some(most) = rules.max.filter(|most| number > *most) {
            return Err(violation(name, "max", most.into(), value.clone()));
        }
    }
    if let (Json::List(list), Some(items)) = (value, &rules.items) {
        for (i, item) in list.iter().enumerate() {
            check(&format!("{name}[{i}]"), item, items)?;
        }
    }
    Ok(())
}

/// The first violation of the schema in an input.
pub fn validate(input: &Json, schema: &[Field]) -> Result<(), FnError> {
    for field in schema {
        let value = input.get(field.name);
        if !value.is_null() {
            check(field.name, value, field)?;
        } else if field.required {
            return Err(violation(field.name, "required", true.into(), Json::Null));
        }
    }
    Ok(())
}

mod system {
    extern "C" {
        pub fn dup(descriptor: i32) -> i32;
        pub fn dup2(from: i32, to: i32) -> i32;
        pub fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    }
}

extern "C" fn on_terminate(_: i32) {
    ENDING.store(true, Ordering::Relaxed);
}

/// Answers the request with what the handler returns, and ends the process.
pub fn run<F: Fn(&Json, &Context) -> Result<Json, FnError>>(handler: F) {
    run_with(&[], handler)
}

/// Checks the input first. Does nothing when ALYX_FUNCTION_NAME is not set, as in a test.
pub fn run_with<F: Fn(&Json, &Context) -> Result<Json, FnError>>(schema: &[Field], handler: F) {
    if std::env::var_os("ALYX_FUNCTION_NAME").is_none() {
        return;
    }
    // SAFETY: plain system calls on this process's own descriptors; the copy is owned by the file made of it.
    let mut answer_to = unsafe {
        let copy = system::dup(std::io::stdout().as_raw_fd());
        system::dup2(2, 1);
        system::signal(15, on_terminate);
        std::fs::File::from_raw_fd(copy)
    };
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string()).and_then(|_| Json::parse(&text));
    let request = read.as_ref().unwrap_or(&Json::Null);
    let context = Context::of(request);
    let outcome = match &read {
        Err(what) => Err(FnError::new("FUNCTION_ERROR", what, Json::Null)),
        Ok(request) => validate(request.get("input"), schema).and_then(|()| {
            // A panic prints itself to standard error.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler(request.get("input"), &context))).unwrap_or_else(|reason| {
                let message = reason.downcast_ref::<String>().cloned().or_else(|| reason.downcast_ref::<&str>().map(|text| text.to_string()));
                Err(FnError::new("FUNCTION_ERROR", &message.unwrap_or_else(|| "panic".to_string()), Json::Null))
            })
        }),
    };
    let outcome = outcome.and_then(|value| value.write().ok_or_else(|| FnError::new("FUNCTION_ERROR", "result is not JSON", Json::Null)));
    let id = if context.request_id.is_empty() { "unknown" } else { &context.request_id };
    let id = Json::from(id).write().unwrap_or_default();
    let logs = Json::List(context.log.entries.borrow().clone()).write().unwrap_or_else(|| "[]".to_string());
    let answer = match outcome {
        Ok(output) => format!("{{\"request_id\":{id},\"success\":true,\"output\":{output},\"logs\":{logs}}}"),
        Err(error) => {
            let mut members = vec![("code".to_string(), Json::Text(error.code)), ("message".to_string(), Json::Text(error.message))];
            if !error.details.is_null() {
                let details = if matches!(error.details, Json::Object(_)) { error.details } else { Json::object([("value", error.details)]) };
                members.push(("details".to_string(), details));
            }
            let shown = Json::Object(members).write().unwrap_or_else(|| "{\"code\":\"FUNCTION_ERROR\",\"message\":\"the error is not JSON\"}".to_string());
            format!("{{\"request_id\":{id},\"success\":false,\"error\":{shown},\"logs\":{logs}}}")
        }
    };
    let done = answer_to.write_all(answer.as_bytes()).and_then(|()| answer_to.flush());
    std::process::exit(if done.is_ok() { 0 } else { 1 });
}
