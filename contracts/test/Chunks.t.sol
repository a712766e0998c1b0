// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Blake3} from "../src/numeric/Blake3.sol";
import {Philox} from "../src/numeric/Philox.sol";
import {Base} from "./Base.sol";
import {Opened} from "./Opened.sol";

/// @notice Chunks of hashed bytes against their BLAKE3 digest, and noise. The hashed bytes are 0 to 250 again and again; digests, chaining
/// values and integers come from Python (tests/test_openings.py writes and checks the files of vectors/).
contract ChunksTest is Base {
    struct Record {
        uint64 length;
        uint64 index;
        bytes32 digest;
        Blake3.Opening opening;
    }

    uint256 private constant OPENING_LIMIT = 450_000;
    uint256 private constant NOISE = 60; // bytes of a record

    Opened private opened;
    Record[] private records;

    function setUp() public {
        opened = new Opened();
        bytes memory data = vm.readFileBinary("test/vectors/blake3.bin");
        for (uint256 at_ = 0; at_ < data.length;) {
            Record storage record = records.push();
            (record.length, record.index) = (uint64(number(data, at_, 8)), uint64(number(data, at_ + 8, 8)));
            record.digest = bytes32(number(data, at_ + 16, 32));
            record.opening.chunk = hashed(record.length, record.index);
            uint256 siblings = number(data, at_ + 48, 1);
            for (uint256 i = 0; i < siblings; ++i) record.opening.siblings.push(bytes32(number(data, at_ + 49 + 32 * i, 32)));
            at_ += 49 + 32 * siblings;
        }
    }

    function test_verifyChunk_agreesWithBlake3() public view {
        isTrue(records.length > 30, "records");
        for (uint256 i = 0; i < records.length; ++i) isTrue(holds(records[i]), "chunk");
    }

    function test_verifyChunk_refusesChanges() public view {
        for (uint256 i = 0; i < records.length; ++i) {
            Record memory r = records[i];
            if (r.opening.chunk.length > 0) refusesChange(r);
            for (uint256 j = 0; j < r.opening.siblings.length; ++j) {
                r.opening.siblings[j] ^= bytes32(uint256(1));
                isTrue(!holds(r), "another sibling");
                r.opening.siblings[j] ^= bytes32(uint256(1));
            }
            r.index ^= 1;
            isTrue(!holds(r), "another index");
        }
    }

    function refusesChange(Record memory r) private view {
        bytes memory chunk = r.opening.chunk;
        chunk[chunk.length - 1] ^= 0x01;
        isTrue(!holds(r), "another byte");
        chunk[chunk.length - 1] ^= 0x01;
        r.opening.chunk = bytes.concat(chunk, hex"00");
        isTrue(!holds(r), "a byte more");
        r.opening.chunk = chunk;
    }

    function test_verifyChunk_refusesPathsOfOtherLengths() public view {
        for (uint256 i = 0; i < records.length; ++i) {
            Record memory r = records[i];
            bytes32[] memory siblings = r.opening.siblings;
            r.opening.siblings = new bytes32[](siblings.length + 1);
            for (uint256 j = 0; j < siblings.length; ++j) r.opening.siblings[j] = siblings[j];
            isTrue(!holds(r), "one too many");
            if (siblings.length == 0) continue;
            r.opening.siblings = new bytes32[](siblings.length - 1);
            for (uint256 j = 0; j + 1 < siblings.length; ++j) r.opening.siblings[j] = siblings[j];
            isTrue(!holds(r), "one too few");
        }
    }

    /// @dev 64 as the length of a block and an index with that bit in the same place would be one.
    function test_verifyChunk_refusesIndicesOutside() public view {
        Record memory r = records[0];
        for (uint256 i = 1; r.length != 1024; ++i) r = records[i];
        for (uint256 bit = 0; bit < 256; ++bit) {
            isTrue(!opened.verifyChunk(r.digest, 1024, 1 << bit, r.opening.chunk, r.opening.siblings), "outside");
        }
    }

    function test_verifyChunk_refusesOtherLengthsOfTheLastChunk() public view {
        for (uint256 i = 0; i < records.length; ++i) {
            Record memory r = records[i];
            if (r.length == 0 || r.length / 1024 > r.index) continue;
            ++r.length;
            isTrue(!holds(r), "one more");
            r.length -= 2;
            isTrue(!holds(r), "one less");
        }
    }

    /// @dev The two chaining values below the root of two chunks are 64 bytes that could be said to be hashed: the flags tell them apart.
    function test_verifyChunk_refusesANodeAsAChunk() public view {
        Record memory r = two(0);
        r.opening.chunk = bytes.concat(two(1).opening.siblings[0], r.opening.siblings[0]);
        r.opening.siblings = new bytes32[](0);
        r.length = 64;
        isTrue(!holds(r), "a node");
    }

    function test_word_acrossTwoChunks() public view {
        Record memory r = two(0);
        for (uint64 position = 1018; position < 1026; ++position) {
            Blake3.Opening memory first = position < 1024 ? r.opening : two(1).opening;
            uint32 word = opened.word(r.digest, r.length, position, first, two(1).opening);
            for (uint256 i = 0; i < 4; ++i) isEqual(uint8(word >> (8 * i)), (position + i) % 251, "byte");
        }
    }

    function test_word_refuses() public {
        Record memory r = two(0);
        Blake3.Opening memory second = two(1).opening;
        vm.expectRevert(abi.encodeWithSelector(Blake3.WordOutside.selector, 2045, 2048));
        opened.word(r.digest, r.length, 2045, second, second);
        vm.expectRevert(abi.encodeWithSelector(Blake3.ChunkRefused.selector, 1));
        opened.word(r.digest, r.length, 2044, r.opening, second);
        vm.expectRevert(abi.encodeWithSelector(Blake3.ChunkRefused.selector, 1));
        opened.word(r.digest, r.length, 1021, r.opening, r.opening);
    }

    function test_noise_agreesWithTheSampler() public view {
        bytes memory data = vm.readFileBinary("test/vectors/noise.bin");
        isTrue(data.length >= 30 * NOISE, "records");
        for (uint256 i = 0; i < data.length; i += NOISE) {
            uint64 vocabulary = uint64(number(data, i + 40, 8));
            uint32 drawn = opened.bits(bytes32(number(data, i, 32)), uint64(number(data, i + 32, 8)), vocabulary, uint64(number(data, i + 48, 8)));
            isEqual(drawn, number(data, i + 56, 4), "bits");
        }
    }

    function test_noise_refusesEntriesOutside() public {
        vm.expectRevert(abi.encodeWithSelector(Philox.EntryOutside.selector, 5, 5));
        opened.bits(0, 0, 5, 5);
    }

    /// @dev A call from a contract, without the transaction's 21,000 and its calldata (about 1,600 bytes).
    function test_gas_openings() public {
        Record memory r = records[records.length - 1];
        isEqual(r.opening.chunk.length, 1024, "whole chunk");
        isEqual(r.opening.siblings.length, 17, "parents");
        uint256 before = gasleft();
        holds(r);
        isTrue(report("chunk under 17 parents", before - gasleft()) <= OPENING_LIMIT, "opening");
        before = gasleft();
        opened.bits(r.digest, 7, 49_152, 1_000);
        report("noise", before - gasleft());
    }

    function two(uint64 index) private view returns (Record memory) {
        for (uint256 i = 0; i < records.length; ++i) {
            if (records[i].length == 2048 && records[i].index == index) return records[i];
        }
        revert Untrue("a record of two chunks");
    }

    function holds(Record memory r) private view returns (bool) {
        return opened.verifyChunk(r.digest, r.length, r.index, r.opening.chunk, r.opening.siblings);
    }

    function hashed(uint256 length, uint256 index) private pure returns (bytes memory chunk) {
        uint256 from = index * 1024;
        chunk = new bytes(length - from < 1024 ? length - from : 1024);
        for (uint256 i = 0; i < chunk.length; ++i) chunk[i] = bytes1(uint8((from + i) % 251));
    }

    function number(bytes memory data, uint256 from, uint256 size) private pure returns (uint256 result) {
        for (uint256 i = 0; i < size; ++i) result = (result << 8) | uint8(data[from + i]);
    }

    function report(string memory name, uint256 gas) private returns (uint256) {
        emit log_named_uint(name, gas);
        vm.snapshotValue("openings", name, gas);
        return gas;
    }
}
