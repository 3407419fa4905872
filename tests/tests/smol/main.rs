//! The suite of sockets, on smol; and what only one runtime need show.

rs2p_tests::suite!(rs2p_smol::Smol);

// On tokio these two do not hold yet.
rs2p_tests::suite_of! { rs2p_smol::Smol;
    restart: a_socket_with_a_store_goes_on_where_it_was
        what_was_sent_before_a_restart_arrives_after_it;
}
