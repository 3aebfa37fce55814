//! From tokens to a tree: statements. Expressions are in `expressions`.
//!
//! Source: `jinja2/parser.py` 3.1.6, with the tag `generation` of transformers and the extension
//! `loopcontrols`.

use std::sync::Arc;

use super::ast::*;
use super::fault::{Fault, Outcome};
use super::lexer::{tokens, Spanned, Token};

/// Statements and brackets within one another, and links of one chain of operators.
pub(super) const MAX_HEIGHT: u32 = 200;
/// Bytes of a template.
const MAX_SOURCE: usize = 1 << 20;

pub(super) struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    pub(super) depth: u32,
    loops: u32,
}

/// The tree of a template.
pub fn parse(source: &str) -> Outcome<Body> {
    if source.len() > MAX_SOURCE {
        return Err(Fault::limit(format!("it is longer than {MAX_SOURCE} bytes")));
    }
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, loops: 0 };
    let body = parser.body(&[])?;
    match parser.peek() {
        Token::End => Ok(body),
        _ => Err(parser.unexpected()),
    }
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    pub(super) fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn unexpected(&self) -> Fault {
        let found = match self.peek() {
            Token::Data(_) => "text".to_owned(),
            Token::BlockBegin => "{%".to_owned(),
            Token::BlockEnd => "end of statement block".to_owned(),
            Token::VariableBegin => "{{".to_owned(),
            Token::VariableEnd => "end of print statement".to_owned(),
            Token::Name(name) => format!("'{name}'"),
            Token::Text(text) => format!("text '{}'", text.chars().take(40).collect::<String>()),
            Token::Int(value) => format!("'{value}'"),
            Token::Float(value) => format!("'{value}'"),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::End => "end of template".to_owned(),
        };
        Fault::syntax(self.line(), format!("unexpected {found}"))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    pub(super) fn skip_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Outcome<()> {
        match self.skip_sign(sign) {
            true => Ok(()),
            false => Err(self.expected(&format!("'{sign}'"))),
        }
    }

    fn expected(&self, what: &str) -> Fault {
        let mut fault = self.unexpected();
        fault.message = format!("{}, expected {what}", fault.message);
        fault
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if &**found == name)
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn name(&mut self) -> Outcome<Name> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => Err(self.expected("a name")),
        }
    }

    fn block_end(&mut self) -> Outcome<()> {
        match self.peek() {
            Token::BlockEnd => {
                self.next();
                Ok(())
            }
            _ => Err(self.expected("end of statement block")),
        }
    }

    /// Parses what is one level further in.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.depth += 1;
        if self.depth > MAX_HEIGHT {
            let problem = format!("it nests more than {MAX_HEIGHT} levels deep");
            return Err(Fault::limit(problem).at(self.line()));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Statements up to a tag with one of these names, of which the `{%` is passed.
    fn body(&mut self, ends: &[&str]) -> Outcome<Body> {
        self.deeper(|parser| {
            let mut body = Vec::new();
            loop {
                let line = parser.line();
                let kind = match parser.peek().clone() {
                    Token::Data(text) => {
                        parser.next();
                        StmtKind::Text(text)
                    }
                    Token::VariableBegin => {
                        parser.next();
                        let value = parser.tuple(true)?;
                        match parser.next() {
                            Token::VariableEnd => StmtKind::Print(value),
                            _ => {
                                parser.at -= 1;
                                return Err(parser.expected("end of print statement"));
                            }
                        }
                    }
                    Token::BlockBegin => {
                        parser.next();
                        if ends.iter().any(|end| parser.is_name(end)) {
                            return Ok(body);
                        }
                        parser.statement(line)?
                    }
                    _ if ends.is_empty() => return Ok(body),
                    _ => return Err(parser.expected(&format!("the tag {}", ends.join(" or ")))),
                };
                body.push(Stmt { line, kind });
            }
        })
    }

    /// The body of a tag from after its `%}` to after its end tag's.
    fn body_to(&mut self, end: &str) -> Outcome<Body> {
        self.block_end()?;
        let body = self.body(&[end])?;
        self.next();
        Ok(body)
    }

    fn statement(&mut self, line: u32) -> Outcome<StmtKind> {
        let tag = self.name()?;
        let kind = match &*tag {
            "if" => self.if_tag()?,
            "for" => self.for_tag()?,
            "set" => self.set_tag()?,
            "macro" => self.macro_tag()?,
            "call" => self.call_tag()?,
            "filter" => {
                let filters = self.filters(false)?;
                StmtKind::Filter { filters, body: self.body_to("endfilter")? }
            }
            "with" => self.with_tag()?,
            "generation" => StmtKind::Scope(self.body_to("endgeneration")?),
            "autoescape" => {
                self.expression(true)?;
                StmtKind::Scope(self.body_to("endautoescape")?)
            }
            "block" => self.block_tag()?,
            "print" => StmtKind::Print(self.tuple(true)?),
            "break" | "continue" if self.loops == 0 => {
                return Err(Fault::syntax(line, format!("'{tag}' outside of a loop")));
            }
            "break" => StmtKind::Break,
            "continue" => StmtKind::Continue,
            "include" | "import" | "from" | "extends" => {
                let problem = format!("'{tag}' needs other templates, of which there are none");
                return Err(Fault::syntax(line, problem));
            }
            unknown => {
                return Err(Fault::syntax(line, format!("Encountered unknown tag '{unknown}'.")))
            }
        };
        self.block_end()?;
        Ok(kind)
    }

    fn if_tag(&mut self) -> Outcome<StmtKind> {
        let mut arms = Vec::new();
        loop {
            let test = self.tuple(true)?;
            self.block_end()?;
            let body = self.body(&["elif", "else", "endif"])?;
            arms.push((test, body));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise = match self.skip_name("else") {
                true => self.body_to("endif")?,
                false => {
                    self.next();
                    Vec::new()
                }
            };
            return Ok(StmtKind::If { arms, otherwise });
        }
    }

    fn for_tag(&mut self) -> Outcome<StmtKind> {
        let target = self.target(&["in"])?;
        if !self.skip_name("in") {
            return Err(self.expected("'in'"));
        }
        let iter = self.tuple(false)?;
        let test = if self.skip_name("if") { Some(self.expression(true)?) } else { None };
        let recursive = self.skip_name("recursive");
        self.block_end()?;
        self.loops += 1;
        let body = self.body(&["endfor", "else"])?;
        self.loops -= 1;
        let otherwise = match self.skip_name("else") {
            true => self.body_to("endfor")?,
            false => {
                self.next();
                Vec::new()
            }
        };
        Ok(StmtKind::For(Arc::new(For { target, iter, test, body, otherwise, recursive })))
    }

    fn set_tag(&mut self) -> Outcome<StmtKind> {
        let target = self.target(&[])?;
        if self.skip_sign("=") {
            return Ok(StmtKind::Set { target, value: self.tuple(true)? });
        }
        let filters = if self.is_sign("|") { self.filters(true)? } else { Vec::new() };
        Ok(StmtKind::SetBlock { target, filters, body: self.body_to("endset")? })
    }

    fn macro_tag(&mut self) -> Outcome<StmtKind> {
        let name = self.name()?;
        let (params, defaults) = self.signature()?;
        Ok(StmtKind::Macro(Arc::new(self.macro_body(name, params, defaults, "endmacro")?)))
    }

    fn call_tag(&mut self) -> Outcome<StmtKind> {
        let (params, defaults) = match self.is_sign("(") {
            true => self.signature()?,
            false => Default::default(),
        };
        let call = self.expression(true)?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(self.expected("call"));
        }
        let caller = Arc::new(self.macro_body("caller".into(), params, defaults, "endcall")?);
        Ok(StmtKind::Call { caller, call })
    }

    fn macro_body(
        &mut self,
        name: Name,
        params: Vec<Name>,
        defaults: Vec<Expr>,
        end: &str,
    ) -> Outcome<Macro> {
        let start = self.at;
        let outer = std::mem::take(&mut self.loops);
        let body = self.body_to(end)?;
        self.loops = outer;
        let uses = |name: &str| {
            let tokens = &self.tokens[start..self.at];
            let named =
                |span: &Spanned| matches!(&span.token, Token::Name(found) if &**found == name);
            tokens.iter().any(named) && !params.iter().any(|param| &**param == name)
        };
        let (uses_varargs, uses_kwargs) = (uses("varargs"), uses("kwargs"));
        let uses_caller = uses("caller");
        Ok(Macro { name, params, defaults, body, uses_varargs, uses_kwargs, uses_caller })
    }

    fn signature(&mut self) -> Outcome<(Vec<Name>, Vec<Expr>)> {
        let (mut params, mut defaults) = (Vec::new(), Vec::new());
        self.expect_sign("(")?;
        while !self.is_sign(")") {
            if !params.is_empty() {
                self.expect_sign(",")?;
            }
            params.push(self.name()?);
            if self.skip_sign("=") {
                defaults.push(self.expression(true)?);
            } else if !defaults.is_empty() {
                let problem = "non-default argument follows default argument";
                return Err(Fault::syntax(self.line(), problem));
            }
        }
        self.next();
        Ok((params, defaults))
    }

    fn with_tag(&mut self) -> Outcome<StmtKind> {
        let mut targets = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !targets.is_empty() {
                self.expect_sign(",")?;
            }
            let target = self.single_target()?;
            self.expect_sign("=")?;
            targets.push((target, self.expression(true)?));
        }
        Ok(StmtKind::With { targets, body: self.body_to("endwith")? })
    }

    fn block_tag(&mut self) -> Outcome<StmtKind> {
        self.name()?;
        while self.skip_name("scoped") || self.skip_name("required") {}
        self.block_end()?;
        let body = self.body(&["endblock"])?;
        self.next();
        if matches!(self.peek(), Token::Name(_)) {
            self.next();
        }
        Ok(StmtKind::Scope(body))
    }

    /// What a loop or an assignment gives names to.
    fn target(&mut self, ends: &[&str]) -> Outcome<Target> {
        let first = self.single_target()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_sign(",") {
            let ended = ends.iter().any(|end| self.is_name(end));
            if ended || self.is_sign("=") || *self.peek() == Token::BlockEnd {
                break;
            }
            all.push(self.single_target()?);
        }
        Ok(Target::Tuple(all))
    }

    fn single_target(&mut self) -> Outcome<Target> {
        if self.skip_sign("(") {
            let target = self.deeper(|parser| parser.target(&[]))?;
            self.expect_sign(")")?;
            return Ok(target);
        }
        let name = self.name()?;
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            return Err(Fault::syntax(self.line(), format!("can't assign to '{name}'")));
        }
        match self.skip_sign(".") {
            true => Ok(Target::Attribute(name, self.name()?)),
            false => Ok(Target::Name(name)),
        }
    }
}
