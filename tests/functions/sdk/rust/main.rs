mod berth_fn;
mod schema;

use berth_fn::{FnError, Json};

fn main() {
    let fields = if std::env::var_os("WITH_SCHEMA").is_some() { schema::schema() } else { Vec::new() };
    berth_fn::run_with(&fields, |input, ctx| match input.get("do").text().unwrap_or("") {
        "echo" => Ok(input.get("value").clone()),
        "missing" => Ok(Json::Null),
        "fail" => Err(FnError::new("CONFLICT", "it is taken", Json::object([("a", 1i64.into())]))),
        "throw" => panic!("unexpected"),
        "print" => {
            println!("printed text");
            Ok("printed".into())
        }
        "big" => Ok("x".repeat(1 << 20).into()),
        "nan" | "cycle" => Ok(Json::object([("a", f64::NAN.into())])),
        "log" => {
            ctx.log.debug("d", Json::Null);
            ctx.log.info("i", Json::object([("k", 1i64.into())]));
            ctx.log.warn("w", Json::Null);
            ctx.log.error("e", Json::Null);
            Ok(Json::Null)
        }
        "context" => Ok(Json::object([
            ("auth", ctx.auth.clone()),
            ("env", ctx.env.clone()),
            ("name", ctx.function_name.as_str().into()),
            ("id", (ctx.request_id.len() as i64).into()),
            ("deadline", (ctx.deadline > Some(0)).into()),
            ("url", ctx.alyx.url.starts_with("http://").into()),
            ("token", (ctx.alyx.token.len() as i64).into()),
        ])),
        "invoke" => ctx.alyx.invoke("echo", Json::object([("x", 1i64.into())])),
        "invoke-fails" => ctx.alyx.invoke("refuses", Json::Object(Vec::new())),
        "async" => Ok(std::thread::spawn(|| "later".to_string()).join().unwrap_or_default().into()),
        "term" => {
            println!("waits for the end");
            while !ctx.cancelled() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            println!("saw the end");
            Ok(Json::Null)
        }
        "valid" => Ok("valid".into()),
        _ => Err(FnError::new("BAD_REQUEST", "unknown", Json::Null)),
    });
}
