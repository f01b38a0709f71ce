//! Reads a JSON object on standard input and answers with one on standard output: {"name":"Ada"} -> {"greeting":"Hello, Ada!"}.
use std::io::Read;

fn main() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("the input is no text");
    // Enough for a start: the text behind "name", as it stands there. Use serde_json for more.
    let name = input.split("\"name\"").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or("World");
    println!("{{\"greeting\":\"Hello, {name}!\"}}");
}
