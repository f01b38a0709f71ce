//! What a component imports and exports, read from its types: nothing is compiled, no function body is looked at.

use std::collections::HashMap;
use std::ffi::c_void;

use wasmtime_environ::wasmparser::component_types::{ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId};
use wasmtime_environ::wasmparser::types::{Types, TypesRef};
use wasmtime_environ::wasmparser::{BinaryReaderError, Parser, Payload, ValidPayload, Validator};

use crate::abi::{Text, guard, slice};
use crate::error::{CError, ErrorKind};

/// A type's text ends here: types that are named twice in one another can be far longer than the file.
const LONGEST_TYPE: usize = 1 << 11;

#[repr(C)]
pub struct Item {
    exported: bool,
    interface: Text,
    function: Text,
    r#type: Text,
}

type Take = unsafe extern "C" fn(*mut c_void, *const Item);

struct Outline<'a> {
    types: Types,
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
}

fn read(bytes: &[u8]) -> Result<Outline<'_>, CError> {
    let invalid = |error: BinaryReaderError| CError::new(ErrorKind::InvalidModule, error.to_string());
    let mut validator = Validator::new();
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(invalid)?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for each in section.clone() {
                    imports.push(each.map_err(invalid)?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for each in section.clone() {
                    exports.push(each.map_err(invalid)?.name.name);
                }
            }
            _ => {}
        }
        if let ValidPayload::End(types) = validator.payload(&payload).map_err(invalid)?
            && depth == 0
        {
            return Ok(Outline { types, imports, exports });
        }
    }
    Err(CError::new(ErrorKind::InvalidModule, "the component does not end"))
}

/// The names that types have where they are exported.
#[derive(Default)]
struct Names<'a> {
    types: HashMap<ComponentAnyTypeId, &'a str>,
    resources: HashMap<ResourceId, &'a str>,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str, item: ComponentEntityType) {
        if let ComponentEntityType::Type { created, .. } = item {
            self.types.entry(created).or_insert(name);
            if let ComponentAnyTypeId::Resource(resource) = created {
                self.resources.entry(resource.resource()).or_insert(name);
            }
        }
    }
}

struct Printer<'a> {
    types: TypesRef<'a>,
    everywhere: Names<'a>,
    here: Names<'a>,
    text: String,
}

impl Printer<'_> {
    fn is_full(&self) -> bool {
        self.text.len() > LONGEST_TYPE
    }

    fn list<T>(&mut self, open: &str, items: impl IntoIterator<Item = T>, close: &str, mut each: impl FnMut(&mut Self, T)) {
        self.text.push_str(open);
        for (at, item) in items.into_iter().enumerate() {
            if self.is_full() {
                break;
            }
            if at > 0 {
                self.text.push_str(", ");
            }
            each(self, item);
        }
        self.text.push_str(close);
    }

    fn resource(&mut self, id: ResourceId) {
        let name = self.here.resources.get(&id).or_else(|| self.everywhere.resources.get(&id)).copied();
        self.text.push_str(name.unwrap_or("resource"));
    }

    fn optional(&mut self, ty: Option<ComponentValType>) {
        match ty {
            Some(ty) => self.value(ty),
            None => self.text.push('_'),
        }
    }

    fn value(&mut self, ty: ComponentValType) {
        if self.is_full() {
            return;
        }
        let id = match ty {
            ComponentValType::Primitive(primitive) => return self.text.push_str(&primitive.to_string()),
            ComponentValType::Type(id) => id,
        };
        let named = ComponentAnyTypeId::Defined(id);
        if let Some(name) = self.here.types.get(&named).or_else(|| self.everywhere.types.get(&named)) {
            return self.text.push_str(name);
        }
        use ComponentDefinedType::*;
        let Some(ty) = self.types.get(id) else { return };
        match ty {
            Primitive(primitive) => self.text.push_str(&primitive.to_string()),
            Record(record) => self.list("record {", &record.fields, "}", |to, (name, ty)| {
                to.text.push_str(&format!("{name}: "));
                to.value(*ty);
            }),
            Variant(variant) => self.list("variant {", &variant.cases, "}", |to, (name, case)| {
                to.text.push_str(name);
                if let Some(ty) = case.ty {
                    to.list("(", [ty], ")", Self::value);
                }
            }),
            List { element, .. } => self.list("list<", [*element], ">", Self::value),
            Map { key, value, .. } => self.list("map<", [*key, *value], ">", Self::value),
            FixedLengthList { element, length, .. } => self.list("list<", [*element], &format!(", {length}>"), Self::value),
            Tuple(tuple) => self.list("tuple<", tuple.types.iter().copied(), ">", Self::value),
            Flags(names) => self.list("flags {", names, "}", |to, name| to.text.push_str(name)),
            Enum(names) => self.list("enum {", names, "}", |to, name| to.text.push_str(name)),
            Option { ty, .. } => self.list("option<", [*ty], ">", Self::value),
            Result { ok: None, err: None, .. } => self.text.push_str("result"),
            Result { ok, err: None, .. } => self.list("result<", [*ok], ">", Self::optional),
            Result { ok, err, .. } => self.list("result<", [*ok, *err], ">", Self::optional),
            Own(resource) => self.resource(resource.resource()),
            Borrow(resource) => self.list("borrow<", [resource.resource()], ">", Self::resource),
            Future { ty, .. } => self.list("future<", [*ty], ">", Self::optional),
            Stream { ty, .. } => self.list("stream<", [*ty], ">", Self::optional),
        }
    }

    fn function(&mut self, id: ComponentFuncTypeId) -> &str {
        self.text.clear();
        let Some(function) = self.types.get(id) else { return &self.text };
        if function.async_ {
            self.text.push_str("async ");
        }
        self.list("(", &function.params, ")", |to, (name, ty)| {
            to.text.push_str(&format!("{name}: "));
            to.value(*ty);
        });
        if let Some(result) = function.result {
            self.text.push_str(" -> ");
            self.value(result);
        }
        if self.is_full() {
            self.text.truncate(self.text.floor_char_boundary(LONGEST_TYPE));
            self.text.push('…');
        }
        &self.text
    }
}

fn describe(outline: &Outline<'_>, mut take: impl FnMut(Item)) {
    let types = outline.types.as_ref();
    let imports = outline.imports.iter().filter_map(|name| Some((false, *name, types.component_item_for_import(name)?.ty)));
    let exports = outline.exports.iter().filter_map(|name| Some((true, *name, types.component_item_for_export(name)?.ty)));
    let items: Vec<(bool, &str, ComponentEntityType)> = imports.chain(exports).collect();
    let mut printer = Printer { types, everywhere: Names::default(), here: Names::default(), text: String::new() };
    let members = |id: ComponentInstanceTypeId| types.get(id).into_iter().flat_map(|instance| &instance.exports);
    for &(_, name, ty) in &items {
        printer.everywhere.add(name, ty);
        if let ComponentEntityType::Instance(id) = ty {
            members(id).for_each(|(name, member)| printer.everywhere.add(name, member.ty));
        }
    }
    for &(exported, name, ty) in &items {
        printer.here = Names::default();
        let interface = Text::of(name);
        let function = Text::of("");
        let id = match ty {
            ComponentEntityType::Instance(id) => id,
            ComponentEntityType::Func(id) => {
                take(Item { exported, interface, function, r#type: Text::of(printer.function(id)) });
                continue;
            }
            ComponentEntityType::Module(_) => {
                take(Item { exported, interface, function, r#type: Text::of("core module") });
                continue;
            }
            ComponentEntityType::Component(_) => {
                take(Item { exported, interface, function, r#type: Text::of("component") });
                continue;
            }
            ComponentEntityType::Value(_) | ComponentEntityType::Type { .. } => {
                take(Item { exported, interface, function, r#type: Text::of("type") });
                continue;
            }
        };
        take(Item { exported, interface, function, r#type: Text::of("interface") });
        members(id).for_each(|(name, member)| printer.here.add(name, member.ty));
        for (name, member) in members(id) {
            if let ComponentEntityType::Func(id) = member.ty {
                take(Item { exported, interface, function: Text::of(name), r#type: Text::of(printer.function(id)) });
            }
        }
    }
}

/// # Safety
/// `bytes` points at `size` bytes; `take` may be called with `state`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_describe(bytes: *const u8, size: usize, take: Take, state: *mut c_void) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let bytes = unsafe { slice(bytes, size) };
        let outline = read(bytes)?;
        // SAFETY: the caller's contract; the texts live until the call returns.
        describe(&outline, |item| unsafe { take(state, &item) });
        Ok(())
    })
}
