//! What can be wrong with RabbitMQ, in words that say what to do.

use lapin::protocol::AMQPError;
use lapin::{Error, ErrorKind};
use std::time::Duration;

/// Why there is no connection, or no topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answers, or the connection broke.
    #[error("{0}")]
    Gone(String),
    /// Something took too long.
    #[error("{0} took longer than {1:?}")]
    TooSlow(&'static str, Duration),
    /// It speaks, but not as RabbitMQ.
    #[error("what answers at rabbitmq.url is no RabbitMQ: {0}")]
    NoRabbit(String),
    /// Without the kind of queue that is needed.
    #[error("RabbitMQ {0} is too old; {1} or newer is needed: upgrade it")]
    TooOld(String, &'static str),
    /// User or password.
    #[error("the user or the password in rabbitmq.url is wrong, or the user may not log in from here")]
    Login,
    /// The virtual host.
    #[error(
        "the virtual host in rabbitmq.url is not there, or its user may not use it: rabbitmqctl add_vhost NAME; rabbitmqctl set_permissions -p NAME USER '.*' '.*' '.*' ({0})"
    )]
    NoHost(String),
    /// A right is missing.
    #[error(
        "{at}: the user has no right to it: rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ, each matching \"NAMESPACE\\..*\" ({said})"
    )]
    NoRight {
        /// Exchange or queue.
        at: String,
        /// RabbitMQ's words.
        said: String,
    },
    /// A queue or exchange of this name was made otherwise.
    #[error(
        "{at}: was made by somebody else, or with other settings (rabbitmq.delivery-limit, rabbitmq.queue-messages): delete it when it is empty, or choose another rabbitmq.namespace ({said})"
    )]
    Foreign {
        /// Exchange or queue.
        at: String,
        /// RabbitMQ's words.
        said: String,
    },
    /// Somebody has deleted it.
    #[error("{0}: is not there any more")]
    Missing(String),
}

impl Trouble {
    /// Will it pass by itself?
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Trouble::Gone(_) | Trouble::TooSlow(..) | Trouble::Missing(_))
    }

    /// What an error while connecting means.
    #[must_use]
    pub fn connecting(error: &Error) -> Trouble {
        match error.kind() {
            ErrorKind::InvalidProtocolVersion(version) => Trouble::NoRabbit(format!("it speaks AMQP {version}")),
            ErrorKind::ParsingError(_) => Trouble::NoRabbit("it speaks something else than AMQP".to_owned()),
            ErrorKind::ProtocolError(said) => match said.get_id() {
                ACCESS_REFUSED => Trouble::Login,
                NOT_ALLOWED | INVALID_PATH | NOT_FOUND => Trouble::NoHost(words(said)),
                _ => Trouble::Gone(words(said)),
            },
            _ => Trouble::Gone(error.to_string()),
        }
    }

    /// What an error on an exchange or queue means.
    #[must_use]
    pub fn at(name: &str, error: &Error) -> Trouble {
        let ErrorKind::ProtocolError(said) = error.kind() else { return Trouble::Gone(error.to_string()) };
        let at = name.to_owned();
        match said.get_id() {
            ACCESS_REFUSED => Trouble::NoRight { at, said: words(said) },
            PRECONDITION_FAILED => Trouble::Foreign { at, said: words(said) },
            NOT_FOUND => Trouble::Missing(at),
            _ => Trouble::Gone(words(said)),
        }
    }
}

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const INVALID_PATH: u16 = 402;
const NOT_ALLOWED: u16 = 530;

fn words(said: &AMQPError) -> String {
    said.get_message().as_str().to_owned()
}
