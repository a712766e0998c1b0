// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What seeders say about a delivery or a score, counted by stake
/// @dev One vote for each operator. A choice wins with more than half of the weight that spoke.
abstract contract Ballots {
    struct Tally {
        uint128 weight;
        uint32 operators;
    }

    struct Vote {
        bytes32 commitment; // commitment of a score
        bytes32 choice;
        bool cast;
    }

    struct Ballot {
        bytes32 leader;
        uint128 best;
        uint128 total;
        mapping(bytes32 choice => Tally) tallies;
        mapping(address operator => Vote) votes;
    }

    // Written through storage references, which slither does not follow.
    // slither-disable-next-line uninitialized-state
    mapping(bytes32 ballotId => Ballot) private _ballots;

    /// @dev `number` 1.. is that delivery's, 0 the score's.
    function _ballotOf(bytes32 job, uint8 part, uint8 number) internal view returns (Ballot storage) {
        return _ballots[keccak256(abi.encode(job, part, number))];
    }

    function _cast(Ballot storage ballot, address operator, bytes32 choice, uint128 weight) internal {
        Vote storage vote = ballot.votes[operator];
        (vote.cast, vote.choice) = (true, choice);
        Tally storage tally = ballot.tallies[choice];
        tally.weight += weight;
        tally.operators += 1;
        ballot.total += weight;
        if (tally.weight > ballot.best) (ballot.best, ballot.leader) = (tally.weight, choice);
    }

    /// @param least Operators that must have said it.
    function _winnerOf(Ballot storage ballot, uint256 least) internal view returns (bool decided, bytes32 choice) {
        choice = ballot.leader;
        decided = ballot.tallies[choice].operators >= least && 2 * uint256(ballot.best) > ballot.total;
    }

    function _chose(Ballot storage ballot, address operator, bytes32 choice) internal view returns (bool) {
        Vote storage vote = ballot.votes[operator];
        return vote.cast && vote.choice == choice;
    }
}
