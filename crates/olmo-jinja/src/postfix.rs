//! From tokens to a tree: what stands behind a value, from attributes and calls to filters and tests.

use super::ast::*;
use super::expressions::highest;
use super::fault::{Fault, Outcome};
use super::lexer::Token;
use super::parser::Parser;

impl Parser {
    pub(super) fn postfix(&mut self, mut value: Expr) -> Outcome<Expr> {
        loop {
            let line = value.line;
            value = match self.peek() {
                Token::Sign(".") => {
                    self.next();
                    let (name, below) = (self.next(), value.height);
                    let value = Box::new(value);
                    let kind = match name {
                        Token::Name(name) => ExprKind::Attribute(value, name),
                        Token::Int(index) => {
                            let literal = ExprKind::Literal(Literal::Int(index));
                            ExprKind::Item(value, Box::new(self.node(line, 0, literal)?))
                        }
                        _ => return Err(Fault::syntax(line, "expected name or number after '.'")),
                    };
                    self.node(line, below, kind)?
                }
                Token::Sign("[") => {
                    self.next();
                    self.subscript(value)?
                }
                Token::Sign("(") => self.call(value)?,
                _ => return Ok(value),
            };
        }
    }

    fn call(&mut self, value: Expr) -> Outcome<Expr> {
        let arguments = self.arguments()?;
        let below = arguments.exprs().map(|expr| expr.height).max().unwrap_or(0);
        let (line, below) = (value.line, below.max(value.height));
        self.node(line, below, ExprKind::Call(Box::new(value), Box::new(arguments)))
    }

    fn subscript(&mut self, value: Expr) -> Outcome<Expr> {
        let line = value.line;
        let first = if self.is_sign(":") { None } else { Some(self.tuple_in_brackets()?) };
        if self.skip_sign("]") {
            let Some(index) = first else { return Err(self.unexpected()) };
            return self.over(value, index, ExprKind::Item);
        }
        let mut parts = [first, None, None];
        for part in &mut parts[1..] {
            if !self.skip_sign(":") {
                break;
            }
            if !self.is_sign(":") && !self.is_sign("]") {
                *part = Some(self.expression(true)?);
            }
        }
        self.expect_sign("]")?;
        let below = parts.iter().flatten().map(|expr| expr.height).max().unwrap_or(0);
        let below = below.max(value.height);
        self.node(line, below, ExprKind::Slice(Box::new(value), Box::new(parts)))
    }

    fn tuple_in_brackets(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let first = self.expression(true)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(",") && !self.is_sign("]") {
            items.push(self.expression(true)?);
        }
        self.node(line, highest(&items), ExprKind::Tuple(items))
    }

    fn arguments(&mut self) -> Outcome<Arguments> {
        self.expect_sign("(")?;
        let mut arguments = Arguments::default();
        let mut first = true;
        while !self.is_sign(")") {
            if !std::mem::take(&mut first) {
                self.expect_sign(",")?;
                if self.is_sign(")") {
                    break;
                }
            }
            self.argument(&mut arguments)?;
        }
        self.next();
        Ok(arguments)
    }

    fn argument(&mut self, arguments: &mut Arguments) -> Outcome<()> {
        if self.skip_sign("*") {
            arguments.list = Some(self.expression(true)?);
        } else if self.skip_sign("**") {
            arguments.dict = Some(self.expression(true)?);
        } else if matches!((self.peek(), self.peek_second()), (Token::Name(_), Token::Sign("="))) {
            let name = self.name()?;
            self.next();
            arguments.named.push((name, self.expression(true)?));
        } else if arguments.named.is_empty() && arguments.dict.is_none() {
            arguments.positional.push(self.expression(true)?);
        } else {
            return Err(Fault::syntax(self.line(), "invalid syntax for function call expression"));
        }
        Ok(())
    }

    /// Filters and tests after a value, in any order.
    pub(super) fn filtered(&mut self, mut value: Expr) -> Outcome<Expr> {
        loop {
            let line = value.line;
            if self.skip_sign("|") {
                let filter = self.filter_call()?;
                let below = below(&filter.arguments).max(value.height);
                value =
                    self.node(line, below, ExprKind::Filter(Box::new(value), Box::new(filter)))?;
            } else if self.skip_name("is") {
                let negated = self.skip_name("not");
                let test = self.test_call()?;
                let below = below(&test.arguments).max(value.height);
                let (value_, test) = (Box::new(value), Box::new(test));
                value = self.node(line, below, ExprKind::Test { value: value_, test, negated })?;
            } else if self.is_sign("(") {
                value = self.call(value)?;
            } else {
                return Ok(value);
            }
        }
    }

    /// Filters in a row; `after_value` if a `|` comes before the first as well.
    pub(super) fn filters(&mut self, after_value: bool) -> Outcome<Vec<Call>> {
        let mut filters = Vec::new();
        if !after_value {
            filters.push(self.filter_call()?);
        }
        while self.skip_sign("|") {
            filters.push(self.filter_call()?);
        }
        Ok(filters)
    }

    fn dotted_name(&mut self) -> Outcome<Name> {
        let mut name = String::from(&*self.name()?);
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name.into())
    }

    fn filter_call(&mut self) -> Outcome<Call> {
        let line = self.line();
        let name = self.dotted_name()?;
        if !super::filters::is_known(&name) {
            return Err(Fault::syntax(line, format!("No filter named '{name}'.")));
        }
        let arguments = if self.is_sign("(") { self.arguments()? } else { Arguments::default() };
        Ok(Call { name, arguments })
    }

    /// A test takes one argument without brackets too: `x is divisibleby 3`.
    fn test_call(&mut self) -> Outcome<Call> {
        let line = self.line();
        let name = self.dotted_name()?;
        if !super::tests::is_known(&name) {
            return Err(Fault::syntax(line, format!("No test named '{name}'.")));
        }
        let mut arguments = Arguments::default();
        if self.is_sign("(") {
            arguments = self.arguments()?;
        } else if self.begins_operand() {
            let primary = self.primary()?;
            arguments.positional.push(self.postfix(primary)?);
        }
        Ok(Call { name, arguments })
    }

    fn begins_operand(&self) -> bool {
        match self.peek() {
            Token::Name(name) => {
                !matches!(&**name, "else" | "or" | "and" | "is" | "if" | "in" | "not")
            }
            Token::Text(_) | Token::Int(_) | Token::Float(_) => true,
            Token::Sign(sign) => matches!(*sign, "[" | "{"),
            _ => false,
        }
    }
}

fn below(arguments: &Arguments) -> u32 {
    arguments.exprs().map(|expr| expr.height).max().unwrap_or(0)
}
