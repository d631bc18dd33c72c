//! What stands around a protocol forwards every callback, also those that have a default and so are not missed.

use crate::lexer::{Kind, Token, lex, matches_at};
use crate::tree::{Problem, Tree, assert_none};

const PROTOCOL: &str = "crates/reactor/src/protocol.rs";

/// The files that hold an `impl Protocol for` one of these, which stands around another protocol.
const AROUND: [(&str, &str); 3] = [
    (PROTOCOL, "Box"),
    ("crates/reactor/src/policy/wrapper.rs", "Wrapper"),
    ("tests/conformance/support/announce.rs", "Announce"),
];

/// Cannot be implemented outside of its crate.
const SEALED: (&str, &str) = ("type_name", "crates/reactor");

#[test]
fn what_stands_around_a_protocol_forwards_every_callback() {
    assert_none(unforwarded(&Tree::of_workspace()));
}

fn unforwarded(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let source = lex(tree.need(PROTOCOL, "the trait `Protocol`", &mut problems));
    let callbacks = methods(&source, &["trait", "Protocol"]);
    if callbacks.is_empty() {
        problems.push(Problem::new(
            PROTOCOL,
            1,
            "no `trait Protocol` is found here; tell this rule where it is",
        ));
    }
    for (path, name) in AROUND {
        let tokens = lex(tree.need(path, "a protocol around a protocol", &mut problems));
        let forwarded = methods(&tokens, &["Protocol", "for", name]);
        for callback in &callbacks {
            if callback.name == SEALED.0 && !path.starts_with(SEALED.1) {
                continue;
            }
            let found = forwarded.iter().find(|method| method.name == callback.name);
            let name = callback.name;
            match found {
                None => {
                    let advice = format!("`Protocol::{name}` is not forwarded to the protocol inside; do");
                    problems.push(Problem::new(path, 1, advice));
                }
                Some(method) if !method.calls(name) => {
                    let advice = format!("`{name}` does not call the same method of the protocol inside");
                    problems.push(Problem::new(path, method.line, advice));
                }
                Some(_) => {}
            }
        }
    }
    problems
}

/// A function directly inside of the braces that were looked for.
struct Method<'t, 'a> {
    name: &'a str,
    line: usize,
    body: &'t [Token<'a>],
}

impl Method<'_, '_> {
    fn calls(&self, name: &str) -> bool {
        (0..self.body.len()).any(|at| matches_at(self.body, at, &[".", name, "("]))
    }
}

/// The functions between the braces that follow these words.
fn methods<'t, 'a>(tokens: &'t [Token<'a>], head: &[&str]) -> Vec<Method<'t, 'a>> {
    let Some(start) = (0..tokens.len()).find(|at| matches_at(tokens, *at, head)) else { return Vec::new() };
    let (mut found, mut depth) = (Vec::new(), 0_usize);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "{" if token.kind == Kind::Mark => depth += 1,
            "}" if token.kind == Kind::Mark => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "fn" if depth == 1 && token.kind == Kind::Word => found.push(at),
            _ => {}
        }
    }
    let ends = found.iter().copied().skip(1).chain([tokens.len()]);
    found.iter().zip(ends).map(|(at, end)| method(&tokens[*at..end])).collect()
}

fn method<'t, 'a>(tokens: &'t [Token<'a>]) -> Method<'t, 'a> {
    let name = tokens.get(1).map_or("", |token| token.text);
    Method { name, line: tokens[0].line, body: tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIT: &str = "pub trait Protocol: 'static { fn a(&mut self) { let b = || { c() }; } fn data(&self); }
        impl Protocol for Box<dyn Protocol> { fn a(&mut self) { (**self).a() } fn data(&self) { self.0.data() } }";

    fn problems(wrapper: &str, announce: &str) -> Vec<String> {
        let tree = Tree::fixture(&[(PROTOCOL, TRAIT), (AROUND[1].0, wrapper), (AROUND[2].0, announce)]);
        unforwarded(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_callback_that_is_left_out_or_not_passed_on_is_named() {
        let wrapper =
            "impl<P> Protocol for Wrapper<P> { fn a(&mut self) { self.p.a() } fn data(&self) { p.data() } }";
        let announce = "impl<P> Protocol for Announce<P> {\n fn a(&mut self) {\n fn data() {} }\n}";
        let found = problems(wrapper, announce);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("announce.rs:2: `a` does not call the same method"));
        assert!(found[1].contains("announce.rs:1: `Protocol::data` is not forwarded"));
    }

    #[test]
    fn the_trait_has_to_be_there() {
        let tree = Tree::fixture(&[(PROTOCOL, ""), (AROUND[1].0, ""), (AROUND[2].0, "")]);
        assert!(unforwarded(&tree)[0].to_string().contains("no `trait Protocol`"));
    }
}
