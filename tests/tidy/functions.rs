//! Where functions begin and end, and what stands above them.

use crate::lexer::{Kind, Token, lex};

/// A function that has a body.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    /// The line of its `fn`.
    pub(crate) line: usize,
    /// The number of lines from its `fn` to its closing brace.
    pub(crate) length: usize,
    /// Whether an attribute makes it a test.
    pub(crate) is_test: bool,
    /// The lines of its documentation.
    pub(crate) docs: Vec<&'a str>,
}

/// Every function of a file, inner ones and those inside of macro calls included.
pub(crate) fn functions(text: &str) -> Vec<Function<'_>> {
    let tokens = lex(text);
    let mut found = Vec::new();
    let mut above = Above::default();
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens[at];
        if token.is_word("fn") {
            found.extend(function_at(&tokens, at, std::mem::take(&mut above)));
        } else if token.kind == Kind::Doc {
            above.docs.push(token.text);
        } else if token.is_mark("#") && tokens.get(at + 1).is_some_and(|next| next.is_mark("[")) {
            let end = closing(&tokens, at + 1, "[", "]").unwrap_or(tokens.len() - 1);
            above.is_test |= is_test_attribute(&tokens[at + 2..end]);
            at = end;
        } else if !may_stand_before_fn(&token) {
            above = Above::default();
        }
        at += 1;
    }
    found
}

/// What was seen since the last item ended.
#[derive(Default)]
struct Above<'a> {
    is_test: bool,
    docs: Vec<&'a str>,
}

fn function_at<'a>(tokens: &[Token<'a>], at: usize, above: Above<'a>) -> Option<Function<'a>> {
    let name = tokens[at + 1..]
        .iter()
        .find(|token| !token.is_mark("$") && !token.is_mark("#") && token.text != "r")?;
    if name.kind != Kind::Word {
        return None; // A function pointer's type.
    }
    let open = body(tokens, at)?;
    let close = closing(tokens, open, "{", "}")?;
    let line = tokens[at].line;
    let length = tokens[close].line - line + 1;
    Some(Function { name: name.text, line, length, is_test: above.is_test, docs: above.docs })
}

/// Where the body of the function at `at` opens; a declaration without one has none.
fn body(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at).filter(|(_, token)| token.kind == Kind::Mark) {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.checked_sub(1)?,
            ";" | "}" if depth == 0 => return None,
            "{" if depth == 0 => return Some(index),
            _ => {}
        }
    }
    None
}

fn closing(tokens: &[Token<'_>], open: usize, opener: &str, closer: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.is_mark(opener) {
            depth += 1;
        } else if token.is_mark(closer) {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// `#[test]`, and other authors' `#[name::test(...)]`; not `#[cfg(test)]`.
fn is_test_attribute(attribute: &[Token<'_>]) -> bool {
    let path = attribute.iter().take_while(|token| token.kind == Kind::Word || token.is_mark(":"));
    path.last().is_some_and(|token| token.is_word("test"))
}

fn may_stand_before_fn(token: &Token<'_>) -> bool {
    const QUALIFIERS: [&str; 10] =
        ["pub", "(", ")", "crate", "super", "in", "const", "async", "unsafe", "extern"];
    token.kind == Kind::Literal || QUALIFIERS.contains(&token.text)
}

#[test]
fn functions_are_measured_from_fn_to_closing_brace() {
    let text =
        "fn a() {}\nfn b(x: [u8; { 3 }])\n-> u8\n{\n let c = '}'; \"}\"; // }\n fn d() {\n }\n}\nfn e();\n";
    let lengths: Vec<_> = functions(text).iter().map(|f| (f.name, f.line, f.length)).collect();
    assert_eq!(lengths, [("a", 1, 1), ("b", 2, 7), ("d", 6, 2)]);
}

#[test]
fn function_pointers_and_declarations_are_not_functions() {
    assert!(functions("struct A { f: fn(u8) -> u8 }\ntrait B { fn g(&self); }\ntype C = fn();").is_empty());
}

#[test]
fn a_function_in_a_macro_is_named_by_its_variable() {
    assert_eq!(functions("macro_rules! m { ($n:ident) => { #[test] fn $n() { } } }")[0].name, "n");
}

#[test]
fn attributes_and_docs_belong_to_the_next_function_only() {
    let text = "/// One\n/// Two\n#[test]\n#[ignore = \"x\"]\npub(crate) fn a() {}\nfn b() {}\n#[cfg(test)] fn c() {}";
    let all = functions(text);
    assert_eq!((all[0].is_test, &*all[0].docs), (true, &[" One", " Two"][..]));
    assert!(all[1].docs.is_empty() && !all[1].is_test && !all[2].is_test);
    let lost = functions("/// Of the struct\n#[test]\nstruct S;\nfn d() {}");
    assert!(lost[0].docs.is_empty() && !lost[0].is_test);
}
