//! The command line.

use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args as ClapArgs, Parser, Subcommand};
use rs2p_smol::{Address, Encryption, Protocol};

use crate::sim::args::Sim;

const AFTER_HELP: &str = "\
Try it, in two terminals:
  rs2p node --listen 127.0.0.1:4444
  rs2p node --join 127.0.0.1:4444

Exit status:
  0    done
  1    it failed; standard error says why
  2    it could not begin: a wrong command line, or an address that cannot be listened on
  130  interrupted before it was done
and of rs2p sim also 10 to 14: see rs2p sim --help

Colours are used on a terminal, unless NO_COLOR is set.";

const NODE_HELP: &str = "\
Examples:
  rs2p node --listen 0.0.0.0:4444 --join 192.0.2.1:4444
  tail -f alerts.log | rs2p node --join 192.0.2.1:4444
  rs2p node --join 192.0.2.1:4444 --json </dev/null | jq -r 'select(.event==\"message\").text'

Lines are sent while there is a link to somebody. Until then they wait, and nothing more is
read than a few of them. A line that is not UTF-8 is sent as bytes. On a terminal, empty lines
are not sent.

At the end of input the node leaves, once all that was read is sent. It stays if there was no
line at all and the input is no terminal (as with </dev/null, in a container or as a service),
and if --stay is given.

Ctrl-C or SIGTERM: the node sends what it has accepted and leaves, with status 0, or 1 if lines
were still waiting for a link. A second one ends it at once, with status 130.";

const SEND_HELP: &str = "\
The words become one message, as with echo: rs2p send --join 192.0.2.1:4444 disk full

Several --join are ways into the same network: the first that answers is used. Status 0 means
that all bytes of the message were handed to a peer's connection; the protocol has no
acknowledgement. To send many messages, pipe them into rs2p node.

If there is a choice, join an rs2p node: a py2p node loses its links to other py2p nodes
whenever a connection to it ends.";

const PEERS_HELP: &str = "\
Links to the node, asks whom it is linked to, and tries to link to those, to see which can be
reached and how fast they answer. Nodes that listen nowhere are not named, and an rs2p node
names rs2p nodes only. Those that a py2p or js2p node names are not tried: they do not stand
connections that come and go.

With --json, one object for each line of the table.";

const DEMO_HELP: &str = "\
Everything happens on loopback, in this process, and takes a few seconds. Status 0 means that
every message arrived everywhere, exactly once.";

/// A peer-to-peer network for alerts and messages: what one node sends, every node gets.
///
/// Nodes of py2p 0.7 and js2p 0.7 can take part.
#[derive(Debug, Parser)]
#[command(name = "rs2p", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Show what goes on inside, on standard error; -vv shows each message and event too
    #[arg(short, long, action = ArgAction::Count, global = true, display_order = 900)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take part in a network: send the lines of standard input, show what arrives
    Node(Node),
    /// Send one message to everyone, and leave
    Send(Send),
    /// Show who is linked to a node
    Peers(Peers),
    /// Watch five nodes exchange messages, lose one, and go on
    #[command(after_help = DEMO_HELP)]
    Demo,
    /// Try networks that do not exist: many nodes in one process, faults, and rules that are checked
    Sim(Sim),
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = NODE_HELP,
    group(ArgGroup::new("place").args(["listen", "join"]).required(true).multiple(true))
)]
pub(crate) struct Node {
    /// Accept links there, for example at 127.0.0.1:4444; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Vec<Address>,

    /// Link to the node there, and try again for ever; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = dialable)]
    pub(crate) join: Vec<Address>,

    /// Tell others this address instead of the one listened on; port 0 is that of --listen
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<Address>,

    #[command(flatten)]
    pub(crate) network: Network,

    /// Write one JSON object for each message and event to standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Stay when the input ends
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = SEND_HELP)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) join: Join,

    #[command(flatten)]
    pub(crate) network: Network,

    /// The message
    #[arg(required = true)]
    pub(crate) text: Vec<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = PEERS_HELP)]
pub(crate) struct Peers {
    #[command(flatten)]
    pub(crate) join: Join,

    #[command(flatten)]
    pub(crate) network: Network,

    /// Write one JSON object for each peer
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where to enter a network, for a command that comes and goes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Join {
    /// Link to the node there; may be repeated
    #[arg(long, value_name = "HOST:PORT", required = true, value_parser = dialable)]
    pub(crate) join: Vec<Address>,

    /// Give up after so many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=86_400),
    )]
    timeout: u32,
}

impl Join {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

/// Which network.
#[derive(Debug, ClapArgs)]
pub(crate) struct Network {
    /// The name of the network; nodes of other names are turned away
    #[arg(long, value_name = "NAME", default_value = "mesh")]
    subnet: String,

    /// Encrypt links with TLS (py2p's and js2p's mode SSL); nobody's identity is proven
    #[arg(long, conflicts_with = "ws")]
    tls: bool,

    /// Carry links over WebSocket (js2p's mode ws)
    #[arg(long)]
    ws: bool,
}

impl Network {
    pub(crate) fn protocol(&self) -> Protocol {
        let encryption = if self.tls {
            Encryption::Tls
        } else if self.ws {
            Encryption::WebSocket
        } else {
            Encryption::Plaintext
        };
        Protocol::new(self.subnet.as_str(), encryption)
    }
}

/// Reads an address that there can be somebody at.
fn dialable(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|error| format!("{error}"))?;
    if address.port() == 0 {
        return Err("nobody can be reached at port 0".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words = std::iter::once("rs2p").chain(line.split_whitespace());
        Args::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        let table = [
            ("node", "--listen <HOST:PORT>|--join <HOST:PORT>"),
            ("node --listen 4444", "the port is missing: write host:port"),
            ("node --listen ::1:80", "an IPv6 host needs brackets"),
            ("node --join a:99999", "a number from 0 to 65535"),
            ("node --join a:0", "nobody can be reached at port 0"),
            ("node --join a:1 --tls --ws", "cannot be used with"),
            ("node --join a:1 hello", "unexpected argument 'hello'"),
            ("send --join a:1", "<TEXT>"),
            ("send fire", "--join <HOST:PORT>"),
            ("send --join a:1 --timeout 0 fire", "0 is not in 1..=86400"),
            ("peer --join a:1", "similar subcommand exists: 'peers'"),
        ];
        for (line, expected) in table {
            let error = parse(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn the_network_is_the_one_asked_for() {
        let table = [
            ("", "mesh over plain text"),
            ("--subnet ops --tls", "ops over TLS"),
            ("--ws", "mesh over WebSocket"),
        ];
        for (options, expected) in table {
            let args = parse(&format!("node --join a:1 {options}")).expect(options);
            let Command::Node(node) = args.command else {
                panic!("not a node: {args:?}");
            };
            assert_eq!(node.network.protocol().to_string(), expected);
        }
    }

    #[test]
    fn options_may_stand_among_the_words_and_not_behind_two_dashes() {
        let args = parse("send disk --join a:1 full -v -- --now").expect("it is right");
        assert_eq!(args.verbose, 1);
        let Command::Send(send) = args.command else {
            panic!("not a send: {args:?}");
        };
        assert_eq!(send.text, ["disk", "full", "--now"]);
        assert_eq!(send.join.timeout(), Duration::from_secs(10));
    }
}
