//! Questions that a handler answers: messages with a sub-flag of the application's own, which do not
//! mix with its other messages, and a reply that finds its way back.
//!
//! `cargo run -p rs2p-smol --example work`

use std::error::Error;

use rs2p_smol::{Handled, SubFlag, Value, packets};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let worker = rs2p_smol::builder().listen("127.0.0.1:0").bind().await?;
        worker.register_handler(|message, context| {
            if *message.sub_flag() != SubFlag::from("sum") {
                return Handled::No; // someone else's
            }
            let numbers = message.packets().iter().flatten();
            let sum: i64 = numbers.filter_map(|number| number.as_i64()).sum();
            // The one who asked may be far away; it is found, and told.
            match context.socket().reply(message, packets!["the sum is", sum]) {
                Ok(_delivery) => {}
                Err(error) => eprintln!("no answer: {error}"),
            }
            Handled::Yes
        });

        let client = rs2p_smol::builder().listen("127.0.0.1:0").bind().await?;
        client.connect(&worker.local_addresses()[0]).await?;
        client.broadcast_as(SubFlag::from("sum"), packets![1, 2, 39])?;

        let answer = client.recv().await?.packets().to_values()?;
        println!("{} {}", answer[0], answer[1]);
        assert_eq!(answer[1], Value::from(42));
        Ok(())
    })
}
