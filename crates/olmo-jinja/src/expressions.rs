//! From tokens to a tree: expressions, with Jinja's order of precedence.

use std::sync::Arc;

use super::ast::*;
use super::fault::{Fault, Outcome};
use super::lexer::Token;
use super::parser::{Parser, MAX_HEIGHT};

impl Parser {
    /// A node over others, unless that makes the tree too high to be walked.
    pub(super) fn node(&self, line: u32, below: u32, kind: ExprKind) -> Outcome<Expr> {
        let height = below + 1;
        if height > MAX_HEIGHT {
            let problem = format!("an expression has more than {MAX_HEIGHT} levels");
            return Err(Fault::limit(problem).at(line));
        }
        Ok(Expr { line, height, kind })
    }

    pub(super) fn over(
        &self,
        left: Expr,
        right: Expr,
        kind: fn(Box<Expr>, Box<Expr>) -> ExprKind,
    ) -> Outcome<Expr> {
        let (line, height) = (left.line, left.height.max(right.height));
        self.node(line, height, kind(Box::new(left), Box::new(right)))
    }

    /// One expression, or several with commas between them, which are a tuple.
    pub(super) fn tuple(&mut self, with_condition: bool) -> Outcome<Expr> {
        let line = self.line();
        let first = self.expression(with_condition)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(",") {
            if self.ends_tuple() {
                break;
            }
            items.push(self.expression(with_condition)?);
        }
        self.node(line, highest(&items), ExprKind::Tuple(items))
    }

    fn ends_tuple(&self) -> bool {
        matches!(self.peek(), Token::VariableEnd | Token::BlockEnd) || self.is_sign(")")
    }

    pub(super) fn expression(&mut self, with_condition: bool) -> Outcome<Expr> {
        self.deeper(|parser| match with_condition {
            true => parser.conditional(),
            false => parser.or(),
        })
    }

    fn conditional(&mut self) -> Outcome<Expr> {
        let mut value = self.or()?;
        while self.skip_name("if") {
            let line = value.line;
            let test = self.or()?;
            let otherwise = match self.skip_name("else") {
                true => Some(Box::new(self.expression(true)?)),
                false => None,
            };
            let below = otherwise.as_ref().map_or(0, |expr| expr.height);
            let below = below.max(test.height).max(value.height);
            value =
                self.node(line, below, ExprKind::If(Box::new(test), Box::new(value), otherwise))?;
        }
        Ok(value)
    }

    fn or(&mut self) -> Outcome<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            left = self.over(left, right, ExprKind::Or)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Outcome<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            left = self.over(left, right, ExprKind::And)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Outcome<Expr> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.compare();
        }
        let value = self.deeper(Self::not)?;
        self.node(line, value.height, ExprKind::Not(Box::new(value)))
    }

    fn compare(&mut self) -> Outcome<Expr> {
        let first = self.sum()?;
        let mut others = Vec::new();
        let mut below = first.height;
        while let Some(comparison) = self.comparison() {
            let other = self.sum()?;
            below = below.max(other.height);
            others.push((comparison, other));
        }
        if others.is_empty() {
            return Ok(first);
        }
        self.node(first.line, below, ExprKind::Compare(Box::new(first), others))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            Token::Name(name) if &**name == "in" => Comparison::In,
            Token::Name(name) if &**name == "not" => {
                if !matches!(self.peek_second(), Token::Name(name) if &**name == "in") {
                    return None;
                }
                self.next();
                Comparison::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(comparison)
    }

    fn sum(&mut self) -> Outcome<Expr> {
        let mut left = self.concat()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("+") => Operator::Add,
                Token::Sign("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.next();
            let right = self.concat()?;
            left = self.binary(operator, left, right)?;
        }
    }

    fn concat(&mut self) -> Outcome<Expr> {
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let line = first.line;
        let mut parts = vec![first];
        while self.skip_sign("~") {
            parts.push(self.product()?);
        }
        self.node(line, highest(&parts), ExprKind::Concat(parts))
    }

    fn product(&mut self) -> Outcome<Expr> {
        let mut left = self.power()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("*") => Operator::Multiply,
                Token::Sign("/") => Operator::Divide,
                Token::Sign("//") => Operator::FloorDivide,
                Token::Sign("%") => Operator::Remainder,
                _ => return Ok(left),
            };
            self.next();
            let right = self.power()?;
            left = self.binary(operator, left, right)?;
        }
    }

    fn binary(&mut self, operator: Operator, left: Expr, right: Expr) -> Outcome<Expr> {
        let (line, below) = (left.line, left.height.max(right.height));
        self.node(line, below, ExprKind::Binary(operator, Box::new(left), Box::new(right)))
    }

    fn unary(&mut self, with_filters: bool) -> Outcome<Expr> {
        let line = self.line();
        let wrap: Option<fn(Box<Expr>) -> ExprKind> = match self.peek() {
            Token::Sign("-") => Some(ExprKind::Negative),
            Token::Sign("+") => Some(ExprKind::Positive),
            _ => None,
        };
        let mut value = match wrap {
            Some(wrap) => {
                self.next();
                let value = self.deeper(|parser| parser.unary(false))?;
                self.node(line, value.height, wrap(Box::new(value)))?
            }
            None => self.primary()?,
        };
        value = self.postfix(value)?;
        if with_filters {
            self.filtered(value)
        } else {
            Ok(value)
        }
    }

    /// As in jinja2, several powers in a row group from the left.
    fn power(&mut self) -> Outcome<Expr> {
        let mut left = self.unary(true)?;
        while self.skip_sign("**") {
            let right = self.deeper(|parser| parser.unary(true))?;
            left = self.binary(Operator::Power, left, right)?;
        }
        Ok(left)
    }

    pub(super) fn primary(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match &*name {
                    "true" | "True" => ExprKind::Literal(Literal::Bool(true)),
                    "false" | "False" => ExprKind::Literal(Literal::Bool(false)),
                    "none" | "None" => ExprKind::Literal(Literal::None),
                    _ => ExprKind::Name(name),
                }
            }
            Token::Text(text) => {
                self.next();
                let mut whole = String::from(&*text);
                while let Token::Text(more) = self.peek().clone() {
                    self.next();
                    whole.push_str(&more);
                }
                ExprKind::Literal(Literal::Text(whole.into()))
            }
            Token::Int(value) => {
                self.next();
                ExprKind::Literal(Literal::Int(value))
            }
            Token::Float(value) => {
                self.next();
                ExprKind::Literal(Literal::Float(value))
            }
            Token::Sign("(") => return self.parenthesis(),
            Token::Sign("[") => {
                self.next();
                let items = self.items("]")?;
                return self.node(line, highest(&items), ExprKind::List(items));
            }
            Token::Sign("{") => return self.dict(),
            _ => return Err(self.unexpected()),
        };
        self.node(line, 0, kind)
    }

    fn parenthesis(&mut self) -> Outcome<Expr> {
        let line = self.line();
        self.next();
        if self.skip_sign(")") {
            return self.node(line, 0, ExprKind::Tuple(Vec::new()));
        }
        let value = self.tuple(true)?;
        self.expect_sign(")")?;
        Ok(value)
    }

    fn items(&mut self, end: &str) -> Outcome<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.is_sign(end) {
            if !items.is_empty() {
                self.expect_sign(",")?;
                if self.is_sign(end) {
                    break;
                }
            }
            items.push(self.expression(true)?);
        }
        self.next();
        Ok(items)
    }

    fn dict(&mut self) -> Outcome<Expr> {
        let line = self.line();
        self.next();
        let mut entries = Vec::new();
        let mut below = 0;
        while !self.is_sign("}") {
            if !entries.is_empty() {
                self.expect_sign(",")?;
                if self.is_sign("}") {
                    break;
                }
            }
            let key = self.expression(true)?;
            self.expect_sign(":")?;
            let value = self.expression(true)?;
            below = below.max(key.height).max(value.height);
            entries.push((key, value));
        }
        self.next();
        self.node(line, below, ExprKind::Dict(entries))
    }
}

pub(super) fn highest(exprs: &[Expr]) -> u32 {
    exprs.iter().map(|expr| expr.height).max().unwrap_or(0)
}

/// The text of a literal, shared.
impl From<&Literal> for super::value::Value {
    fn from(literal: &Literal) -> Self {
        use super::value::Value;
        match literal {
            Literal::None => Value::None,
            Literal::Bool(value) => Value::Bool(*value),
            Literal::Int(value) => Value::Int(*value),
            Literal::Float(value) => Value::Float(*value),
            Literal::Text(text) => Value::Text(Arc::clone(text)),
        }
    }
}
