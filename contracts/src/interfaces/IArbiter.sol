// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Blake3} from "../numeric/Blake3.sol";

/// @title The last move of a dispute: the word in question, computed from words that both sides agree on. Pure, and without memory
/// @notice Formats of instructions and values: IDisputeCourt.
interface IArbiter {
    /// @notice What both sides agree on, as far as it comes before the word in dispute, and where that is.
    struct Scene {
        bytes32 values; // tree over the step's values
        uint256 count;
        uint32[] inputs; // of the program: their numbers among those
        bytes32 program; // tree over what its instructions make
        uint256 length; // of it
        bytes32 running; // running words of the fold
        uint32 element;
        uint32 run; // number of the running word
        uint32 acc; // the one before, unless it lies in another chunk
    }

    /// @notice One word shown: the value's root among the step's or the program's values, the chunk in the value.
    struct Opening {
        bytes32 root;
        bytes32[] rootProof;
        bytes32 chunk;
        bytes32[] chunkProof;
    }

    /// @notice One word of a state: the tensor's digest among the leaves of the state root, and the chunks of 1,024 bytes that hold the word's four,
    /// each with the chaining values beside its path (the second only where the word lies in two).
    struct StateOpening {
        bytes32 digest;
        bytes32[] proof;
        Blake3.Opening first;
        Blake3.Opening second;
    }

    error CountWrong(uint256 actual, uint256 expected);
    error NotUnderRoot(bytes32 actual, bytes32 expected);
    error KindUnknown(uint8 kind);
    error TooLarge(uint256 actual, uint256 limit);

    /// @notice The word that the instruction makes there. `openings` has one place for each operand.
    function wordOf(Scene memory scene, bytes calldata instruction, Opening[] calldata openings) external pure returns (uint32);
    /// @notice Word `element` of the tensor that an INITIAL or FINAL entry names in a state root.
    function stateWordOf(bytes32 state, bytes calldata entry, uint32 element, StateOpening calldata opening) external pure returns (uint32);
}
