//! The part of Python's pickle format that torch uses for tensors, read as data. Nothing is ever called: the only
//! callables known are those that describe tensors and plain containers, every other one is refused by name.

use std::collections::HashMap;
use std::rc::Rc;

/// A value of a pickle.
#[derive(Debug, Clone)]
pub enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool,
    /// An integer.
    Int(i64),
    /// A float.
    Float,
    /// A text.
    Text(Rc<str>),
    /// Raw bytes; only their presence matters here.
    Bytes,
    /// A tuple.
    Tuple(Rc<Vec<Value>>),
    /// A list; what it holds does not matter here.
    List,
    /// A dict, by its place in [`Pickle::dicts`].
    Dict(usize),
    /// A global name, `module.name`.
    Global(Rc<str>),
    /// A reference to stored bytes: the tuple that torch gives as persistent id.
    Storage(Rc<Vec<Value>>),
    /// `torch._utils._rebuild_tensor_v2` with its arguments.
    Tensor(Rc<Vec<Value>>),
}

/// A pickle that was read to its end.
#[derive(Debug)]
pub struct Pickle {
    /// The value on top of the stack at the end.
    pub root: Value,
    /// Contents of the dicts, in order.
    pub dicts: Vec<Vec<(Value, Value)>>,
}

/// Most values on the stack or in the memo: far more than any model has tensors, small enough to refuse nonsense.
const LIMIT: usize = 10_000_000;

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    dicts: Vec<Vec<(Value, Value)>>,
}

/// Reads a pickle of protocol 2 to 5.
///
/// # Errors
/// A sentence that says what stands at which byte.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), dicts: Vec::new() };
    loop {
        let at = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { root, dicts: machine.dicts });
        }
        machine.step(code).map_err(|reason| format!("at byte {at} of its pickle: {reason}"))?;
        if machine.stack.len() + machine.memo.len() > LIMIT {
            return Err("the pickle holds more values than any checkpoint".into());
        }
    }
}

impl Machine<'_> {
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Float);
            }
            b'X' => {
                let n = u32::from_le_bytes(self.array()?) as usize;
                self.text(n)?;
            }
            0x8c => {
                let n = self.byte()? as usize;
                self.text(n)?;
            }
            b'C' => {
                let n = self.byte()? as usize;
                self.take(n)?;
                self.push(Value::Bytes);
            }
            b'B' => {
                let n = u32::from_le_bytes(self.array()?) as usize;
                self.take(n)?;
                self.push(Value::Bytes);
            }
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Value::Tuple(Rc::default())),
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(Rc::new(items)));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Value::Tuple(Rc::new(items)));
            }
            b']' => self.push(Value::List),
            b'}' => self.new_dict(),
            b'a' => {
                self.pop()?;
                self.append()?;
            }
            b'e' => {
                self.since_mark()?;
                self.append()?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set_items(items)?;
            }
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.push(Value::Global(name.into()));
            }
            0x93 => match self.pop_many(2)?.as_slice() {
                [Value::Text(module), Value::Text(name)] => self.push(Value::Global(format!("{module}.{name}").into())),
                _ => return Err("a global without a name".into()),
            },
            b'q' => {
                let key = self.byte()?.into();
                self.remember(key)?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let key = self.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b'Q' => match self.pop()? {
                Value::Tuple(id) => self.push(Value::Storage(id)),
                _ => return Err("a persistent id that is not a tuple".into()),
            },
            b'R' => self.reduce()?,
            b'b' => drop(self.pop()?), // Attributes of an OrderedDict (`_metadata`): nothing that a tensor needs.
            other => return Err(format!("operation {other:#04x}, which no file of tensors uses; it is refused")),
        }
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let (Value::Global(name), Value::Tuple(arguments)) = (self.pop()?, arguments) else {
            return Err("a call of something that has no name; it is refused".into());
        };
        match &*name {
            "torch._utils._rebuild_tensor_v2" => self.push(Value::Tensor(arguments)),
            "torch._utils._rebuild_parameter" => {
                let tensor = arguments.first().cloned().ok_or("a parameter without a tensor")?;
                self.push(tensor);
            }
            "collections.OrderedDict" if arguments.is_empty() => self.new_dict(),
            "torch.Size" => self.push(Value::Tuple(arguments)),
            _ => {
                return Err(format!(
                    "it asks to run `{name}`; only tensors and plain containers are read, so it is refused. \
                     Save the state dict alone (or as safetensors) and use that file"
                ));
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, n: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len()).ok_or("the pickle is cut off")?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().position(|b| *b == b'\n').ok_or("the pickle is cut off")?;
        let line = String::from_utf8(rest[..n].to_vec()).map_err(|_| "a name that is not UTF-8")?;
        self.at += n + 1;
        Ok(line)
    }

    fn text(&mut self, n: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(n)?).map_err(|_| "a text that is not UTF-8")?.into();
        self.push(Value::Text(text));
        Ok(())
    }

    fn long(&mut self) -> Result<(), String> {
        let n = self.byte()? as usize;
        let bytes = self.take(n)?;
        if n > 8 {
            return Err("an integer of more than 64 bits".into());
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut array = [fill; 8];
        array[..n].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(array)));
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "a value is missing".into())
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Value>, String> {
        let first = self.stack.len().checked_sub(n).ok_or("values are missing")?;
        Ok(self.stack.split_off(first))
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|m| *m <= self.stack.len()).ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn new_dict(&mut self) {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1));
    }

    fn append(&self) -> Result<(), String> {
        match self.stack.last() {
            Some(Value::List) => Ok(()),
            _ => Err("an append to something that is not a list".into()),
        }
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return Err("an item set on something that is not a dict".into());
        };
        if items.len() % 2 != 0 {
            return Err("a key without a value".into());
        }
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.dicts[*dict].push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or("nothing to remember")?.clone();
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let value = self.memo.get(&key).ok_or("a reference to nothing")?.clone();
        self.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_os_system_is_refused_by_name() {
        let error = read(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.").unwrap_err();
        assert!(error.contains("posix.system"), "{error}");
    }

    #[test]
    fn broken_pickles_are_errors() {
        let cases: [&[u8]; 9] =
            [b"", b".", b"\x80", b"R.", b"t.", b"(u.", b"h\x01.", b"X\xff\xff\xff\xff", b"\x8a\x09\0\0\0\0\0\0\0\0\0."];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn containers_and_numbers() {
        let pickle =
            read(b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x05X\x01\x00\x00\x00b]q\x01(J\xff\xff\xff\xffNeu.").unwrap();
        assert_eq!(pickle.dicts[0].len(), 2);
        assert!(matches!(pickle.dicts[0][0].1, Value::Int(5)));
        assert!(matches!(pickle.dicts[0][1].1, Value::List));
    }
}
