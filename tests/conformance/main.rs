//! Every behaviour of the contract, on every backend.
//!
//! Each file holds one section of `docs/contract.md`; a test's name begins with the identifiers of the sentences that it
//! proves. `support` makes the worlds that the tests run in, and stamps each test over all of them.

#![allow(missing_docs, unreachable_pub)]

mod a_abort_handles;
mod a_conversation;
mod a_crowds;
mod a_deferred;
mod a_elsewhere;
mod a_ending;
mod a_fairness;
mod a_given_away;
mod a_group_loops;
mod a_groups;
mod a_halves;
mod a_handover;
mod a_handover_random;
mod a_listing;
mod a_order;
mod a_pool;
mod a_programs;
mod a_races;
mod a_remote_tasks;
mod a_scopes;
mod a_streams;
mod a_tasks;
mod a_threads;
mod a_time;
mod a_waker_code;
mod a_wakers;
mod c_connecting;
mod c_resolving;
mod debug_mode;
mod dump;
mod f_replaced;
mod f_sources;
mod f_watched;
mod f_watching;
mod f_zmq_rule;
mod h_half_close;
mod k_coverage;
mod k_test_kit;
mod l_listening;
mod l_sockets;
mod l_trouble;
mod lag;
mod n_pool;
mod n_pool_end;
mod n_threads;
mod r_own_buffers;
mod r_reading;
mod relay;
mod s_addresses;
mod s_endings;
mod s_failures;
mod s_handover;
mod s_life_cycle;
mod s_loop_end;
// Other suites use it too, and more of it.
#[allow(dead_code)]
mod support;
mod t_failures;
mod t_hosted_changes;
mod t_hosted_idle;
mod t_hosted_sources;
mod t_hosting;
mod t_loop_end;
mod t_loops;
mod t_ready_queue;
mod t_running;
mod t_timers;
mod t_wait;
mod u_adopted;
mod u_pipes;
mod u_stdio;
mod u_terminals;
mod u_unix;
mod w_asleep;
mod w_flow;
mod w_writing;
