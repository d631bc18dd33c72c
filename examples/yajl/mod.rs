//! A parser of frames that is a C library: yajl, which is pushed bytes, and calls back for what it finds in them.
//!
//! The rules of its `unsafe` code, to which each `// SAFETY:` comment refers:
//!
//! * **Y1** `handle` came from `yajl_alloc`, and lives until `yajl_free` in `drop` (or in `restart`, which replaces it).
//! * **Y2** `state` came from `Box::into_raw`, and lives until `drop`. It is what yajl passes to the callbacks, which it calls
//!   only from within `yajl_parse`; meanwhile nothing else looks at it.
//! * **Y3** What a callback is given, a pointer and a length, is a slice of bytes for as long as the callback runs.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
use std::ptr::null_mut;

use marline::framing::Feed;

/// The fields of an object that are strings and numbers, as text.
pub(crate) type Message = Vec<(String, String)>;

/// Objects with more bytes than this are refused.
const MAX_LENGTH: usize = 64 * 1024;

/// Finds JSON objects, one behind the other, with space between them or none.
pub(crate) struct Objects {
    handle: *mut c_void,
    state: *mut State,
    /// Bytes that yajl did not get yet.
    kept: Vec<u8>,
    /// Those it got of an object that is not complete: it does not give them back.
    unfinished: Vec<u8>,
    is_broken: bool,
}

#[derive(Default)]
struct State {
    depth: usize,
    key: String,
    fields: Message,
    complete: Option<Message>,
}

/// This is no sequence of JSON objects, or one of them is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadJson;

impl std::fmt::Display for BadJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no sequence of JSON objects of an acceptable length")
    }
}

impl std::error::Error for BadJson {}

impl Default for Objects {
    fn default() -> Self {
        let state = Box::into_raw(Box::default());
        Self { handle: allocate(state), state, kept: Vec::new(), unfinished: Vec::new(), is_broken: false }
    }
}

impl Objects {
    /// Bytes up to the next brace that may end an object: so an object ends where a push does, and what is behind it stays
    /// with whoever has it.
    fn piece(bytes: &[u8]) -> usize {
        bytes.iter().position(|byte| *byte == b'}').map_or(bytes.len(), |brace| brace + 1)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<Option<Message>, BadJson> {
        self.unfinished.extend_from_slice(bytes);
        // SAFETY: Y1, Y2; the bytes are borrowed for the call.
        let status = unsafe { yajl_parse(self.handle, bytes.as_ptr(), bytes.len()) };
        if status != 0 || self.unfinished.len() > MAX_LENGTH {
            return Err(BadJson);
        }
        // SAFETY: Y2; no call of yajl's is under way.
        let complete = unsafe { &mut *self.state }.complete.take();
        if complete.is_some() {
            self.unfinished.clear();
        }
        Ok(complete)
    }

    fn find(&mut self, input: &mut &[u8]) -> Result<Option<Message>, BadJson> {
        let mut found = None;
        while found.is_none() && !self.kept.is_empty() {
            let piece: Vec<u8> = self.kept.drain(..Self::piece(&self.kept)).collect();
            found = self.push(&piece)?;
        }
        while found.is_none() && !input.is_empty() {
            let (piece, behind) = input.split_at(Self::piece(input));
            *input = behind;
            found = self.push(piece)?;
        }
        Ok(found)
    }

    fn restart(&mut self) {
        // SAFETY: Y1: replaced at once. Y2: no call of yajl's is under way.
        unsafe {
            yajl_free(self.handle);
            *self.state = State::default();
        }
        self.handle = allocate(self.state);
        self.is_broken = false;
    }
}

impl Feed for Objects {
    type Frame<'a> = Message;
    type Error = BadJson;

    fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Message>, BadJson> {
        let found = if self.is_broken { Ok(None) } else { self.find(input) };
        self.is_broken |= found.is_err();
        if self.is_broken {
            (self.kept, self.unfinished, *input) = (Vec::new(), Vec::new(), &[]);
        }
        found
    }

    fn keep(&mut self, input: &[u8]) {
        self.kept.extend_from_slice(input);
    }

    fn take_rest(&mut self) -> Vec<u8> {
        self.restart();
        let mut rest = std::mem::take(&mut self.unfinished);
        rest.append(&mut self.kept);
        rest
    }

    fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // SAFETY: Y1, Y2: the last use of both.
        unsafe {
            yajl_free(self.handle);
            drop(Box::from_raw(self.state));
        }
    }
}

// What yajl calls. A callback answers 1 to go on, and 0 if that has no place in a sequence of objects.

extern "C" fn opened(state: *mut c_void) -> c_int {
    // SAFETY: Y2.
    let state = unsafe { &mut *state.cast::<State>() };
    state.depth += 1;
    1
}

extern "C" fn opened_array(state: *mut c_void) -> c_int {
    // SAFETY: Y2.
    let is_inside = unsafe { &*state.cast::<State>() }.depth > 0;
    if is_inside { opened(state) } else { 0 }
}

extern "C" fn closed(state: *mut c_void) -> c_int {
    // SAFETY: Y2.
    let state = unsafe { &mut *state.cast::<State>() };
    state.depth -= 1;
    if state.depth == 0 {
        state.complete = Some(std::mem::take(&mut state.fields));
    }
    1
}

extern "C" fn key(state: *mut c_void, bytes: *const c_uchar, length: usize) -> c_int {
    // SAFETY: Y2, Y3.
    let (state, bytes) = unsafe { (&mut *state.cast::<State>(), std::slice::from_raw_parts(bytes, length)) };
    if state.depth == 1 {
        state.key = String::from_utf8_lossy(bytes).into_owned();
    }
    1
}

extern "C" fn string(state: *mut c_void, bytes: *const c_uchar, length: usize) -> c_int {
    // SAFETY: Y2, Y3.
    let (state, bytes) = unsafe { (&mut *state.cast::<State>(), std::slice::from_raw_parts(bytes, length)) };
    if state.depth == 1 {
        let key = std::mem::take(&mut state.key);
        state.fields.push((key, String::from_utf8_lossy(bytes).into_owned()));
    }
    // Outside of objects there are no values.
    c_int::from(state.depth > 0)
}

extern "C" fn number(state: *mut c_void, text: *const c_char, length: usize) -> c_int {
    string(state, text.cast(), length)
}

// yajl 2, as its header <yajl/yajl_parse.h> has it.

/// `yajl_allow_multiple_values`.
const MULTIPLE_VALUES: c_uint = 0x08;

type OnEvent = extern "C" fn(*mut c_void) -> c_int;
type OnBytes = extern "C" fn(*mut c_void, *const c_uchar, usize) -> c_int;

/// `yajl_callbacks`. What is not there is not told.
#[repr(C)]
struct Callbacks {
    null: Option<OnEvent>,
    boolean: Option<extern "C" fn(*mut c_void, c_int) -> c_int>,
    integer: Option<extern "C" fn(*mut c_void, i64) -> c_int>,
    double: Option<extern "C" fn(*mut c_void, f64) -> c_int>,
    number: Option<extern "C" fn(*mut c_void, *const c_char, usize) -> c_int>,
    string: Option<OnBytes>,
    start_map: Option<OnEvent>,
    map_key: Option<OnBytes>,
    end_map: Option<OnEvent>,
    start_array: Option<OnEvent>,
    end_array: Option<OnEvent>,
}

static CALLBACKS: Callbacks = Callbacks {
    null: None,
    boolean: None,
    integer: None,
    double: None,
    number: Some(number),
    string: Some(string),
    start_map: Some(opened),
    map_key: Some(key),
    end_map: Some(closed),
    start_array: Some(opened_array),
    end_array: Some(closed),
};

// SAFETY: the declarations agree with the header.
#[link(name = "yajl")]
unsafe extern "C" {
    fn yajl_alloc(callbacks: *const Callbacks, functions: *mut c_void, state: *mut c_void) -> *mut c_void;
    fn yajl_config(handle: *mut c_void, option: c_uint, ...) -> c_int;
    fn yajl_parse(handle: *mut c_void, bytes: *const c_uchar, length: usize) -> c_int;
    fn yajl_free(handle: *mut c_void);
}

fn allocate(state: *mut State) -> *mut c_void {
    // SAFETY: the callbacks are static; Y2 for the state. The option takes an `int`.
    unsafe {
        let handle = yajl_alloc(&raw const CALLBACKS, null_mut(), state.cast());
        assert!(!handle.is_null(), "out of memory");
        yajl_config(handle, MULTIPLE_VALUES, 1 as c_int);
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &[u8] = br#"{"a":1,"b":"}{"} {"c":{"d":[2,{}]},"e":"x\n"}{}  {"f":"#;

    fn parse<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<Result<Message, BadJson>>, Vec<u8>) {
        let (mut parser, mut found) = (Objects::default(), Vec::new());
        for mut piece in pieces {
            while let Some(result) = parser.next(&mut piece).transpose() {
                found.push(result);
            }
            assert!(piece.is_empty());
        }
        (found, parser.take_rest())
    }

    #[test]
    fn any_split_gives_the_objects_of_the_whole() {
        let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let objects = [vec![field("a", "1"), field("b", "}{")], vec![field("e", "x\n")], vec![]];
        let expected = (objects.map(Ok).to_vec(), b"  {\"f\":".to_vec());
        for length in 1..=INPUT.len() {
            assert_eq!(parse(INPUT.chunks(length)), expected, "pieces of {length}");
        }
    }

    #[test]
    fn what_is_no_object_or_too_long_breaks_it() {
        for bad in [&b"{}{]{}"[..], b"{}1 {}", b"{}[1]{}", b"{}}{}"] {
            let (found, rest) = parse([bad, b"{}"].into_iter());
            assert_eq!(found.last(), Some(&Err(BadJson)), "{found:?}");
            assert_eq!(rest, b"");
        }
        let long = [b"{\"a\":\"", &[b'x'; MAX_LENGTH][..]].concat();
        assert_eq!(parse(long.chunks(1000)), (vec![Err(BadJson)], Vec::new()));
    }

    #[test]
    fn the_rest_can_be_taken_out_and_the_parser_is_as_new() {
        let mut parser = Objects::default();
        let mut input = &b"{}{\"a\":"[..];
        assert_eq!(parser.next(&mut input), Ok(Some(vec![])));
        assert_eq!(input, b"{\"a\":");
        assert_eq!(parser.next(&mut input), Ok(None));
        parser.keep(b"1}");
        assert_eq!(parser.take_rest(), b"{\"a\":1}");
        assert_eq!(parser.next(&mut &b"{}"[..]), Ok(Some(vec![])));
    }
}
