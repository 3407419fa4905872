//! The suite of sockets, on smol; and what only one runtime need show.

rs2p_tests::suite!(rs2p_smol::Smol);
