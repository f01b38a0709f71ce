mod berth_fn;

use berth_fn::{Field, FnError, Json};

fn main() {
    let schema = [Field { name: "name", kind: "string", max_length: Some(80), ..Field::default() }];
    berth_fn::run_with(&schema, |input, ctx| {
        let name = input.get("name").text().unwrap_or("World");
        ctx.log.info("greeting", Json::object([("name", name.into())]));
        if name == "nobody" {
            return Err(FnError::new("VALIDATION_ERROR", "nobody cannot be greeted", Json::object([("field", "name".into())])));
        }
        Ok(Json::object([("message", format!("Hello, {name}!").into()), ("runtime", "rust".into())]))
    });
}
