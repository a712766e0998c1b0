// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LittleEndian} from "./LittleEndian.sol";

/// @title BLAKE3 as far as one chunk of hashed bytes is shown against their digest (O'Connor et al. 2020, "BLAKE3: one function, fast everywhere").
/// @notice The bytes are cut into chunks of 1,024; pairs of nodes are hashed level by level, and an odd last node moves up as it is.
/// @dev The 4x4 state of the compression lies in four words, one for each row: four 32-bit numbers in slots of 64 bits, the first one lowest,
/// so that all four columns go through the quarter round at once. Carries and shifts run over into the free halves and are masked away.
/// A digest or chaining value is a number whose lowest 32 bits are its first little-endian word.
library Blake3 {
    /// @notice A chunk with the chaining values beside its path, from the bottom up.
    struct Opening {
        bytes chunk;
        bytes32[] siblings;
    }

    /// @notice The chunk is not the one of this index under the digest.
    error ChunkRefused(uint256 index);
    /// @notice The word does not lie inside the hashed bytes.
    error WordOutside(uint256 position, uint256 length);

    uint256 internal constant CHUNK = 1024;
    uint256 private constant BLOCK = 64;
    uint256 private constant ROUNDS = 7;

    uint256 private constant CHUNK_START = 1;
    uint256 private constant CHUNK_END = 2;
    uint256 private constant PARENT = 4;
    uint256 private constant ROOT = 8;

    /// @dev The lower halves of all slots; one word in 32-bit places.
    uint256 private constant MASK = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant WORD = 0xffffffff;
    /// @dev The eight words of the initial value (those of SHA-256), as rows.
    uint256 private constant IV_LOW = 0x00000000a54ff53a000000003c6ef37200000000bb67ae85000000006a09e667;
    uint256 private constant IV_HIGH = 0x000000005be0cd19000000001f83d9ab000000009b05688c00000000510e527f;

    /// @notice The four bytes at `position` of `length` hashed bytes as a little-endian word. Where they lie in two chunks, `second` is the
    /// chunk after `first`; else it is not looked at.
    function word(bytes32 digest, uint64 length, uint64 position, Opening calldata first, Opening calldata second)
        internal
        pure
        returns (uint32 result)
    {
        if (uint256(position) + 4 > length) revert WordOutside(position, length);
        uint256 index = position / CHUNK;
        uint256 from = position % CHUNK;
        if (!verifyChunk(digest, length, index, first.chunk, first.siblings)) revert ChunkRefused(index);
        bytes memory four = first.chunk[from:from + 4 < CHUNK ? from + 4 : CHUNK];
        if (four.length < 4) {
            if (!verifyChunk(digest, length, index + 1, second.chunk, second.siblings)) revert ChunkRefused(index + 1);
            four = bytes.concat(four, second.chunk[0:4 - four.length]);
        }
        return uint32(LittleEndian.integer(bytes32(four)));
    }

    /// @notice Whether `chunk` is number `index` of the bytes with this digest.
    /// @dev `length` says how long the last chunk is and where its path goes up alone. Under a wrong length other chunks may still be shown, but
    /// never other bytes than were hashed at that place: each chunk is hashed with its index.
    /// @param siblings Chaining values beside the path, from the bottom up, as bytes.
    function verifyChunk(bytes32 digest, uint64 length, uint256 index, bytes calldata chunk, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        uint256 width = length == 0 ? 1 : (uint256(length) + CHUNK - 1) / CHUNK;
        if (index >= width) return false;
        if (chunk.length != (index == width - 1 ? length - index * CHUNK : CHUNK)) return false;
        uint256 value = _chunkValue(chunk, index, width == 1 ? ROOT : 0);
        (bool isWhole, uint256 top) = _climbed(value, index, width, siblings);
        return isWhole && top == LittleEndian.integer(digest);
    }

    /// @dev The digest above a chaining value of a level of `width` nodes; whether the path has as many siblings as it must.
    function _climbed(uint256 value, uint256 index, uint256 width, bytes32[] calldata siblings) private pure returns (bool, uint256) {
        uint256 used = 0;
        for (; width > 1; (index, width) = (index / 2, (width + 1) / 2)) {
            if (index == width - 1 && index % 2 == 0) continue;
            if (used == siblings.length) return (false, 0);
            uint256 sibling = LittleEndian.integer(siblings[used++]);
            uint256 flags = width == 2 ? PARENT | ROOT : PARENT;
            value = index % 2 == 0 ? _parentValue(value, sibling, flags) : _parentValue(sibling, value, flags);
        }
        return (used == siblings.length, value);
    }

    /// @dev Chaining value of a chunk; the digest with the flag ROOT.
    function _chunkValue(bytes calldata chunk, uint256 index, uint256 last) private pure returns (uint256) {
        (uint256 low, uint256 high) = (IV_LOW, IV_HIGH);
        uint256 blocks = chunk.length == 0 ? 1 : (chunk.length + BLOCK - 1) / BLOCK;
        for (uint256 i = 0; i < blocks; ++i) {
            bytes calldata part = chunk[i * BLOCK:i == blocks - 1 ? chunk.length : (i + 1) * BLOCK];
            uint256 flags = (i == 0 ? CHUNK_START : 0) | (i == blocks - 1 ? CHUNK_END | last : 0);
            (low, high) = _compress(low, high, _half(part, 0), _half(part, 32), _parameters(index, part.length, flags));
        }
        return _joined(low, high);
    }

    /// @dev Chaining value of the node over two others; the digest with the flag ROOT.
    function _parentValue(uint256 left, uint256 right, uint256 flags) private pure returns (uint256) {
        (uint256 low, uint256 high) = _compress(IV_LOW, IV_HIGH, left, right, _parameters(0, BLOCK, flags));
        return _joined(low, high);
    }

    /// @dev 32 bytes of a block, zeros behind its end.
    function _half(bytes calldata part, uint256 from) private pure returns (uint256) {
        return from < part.length ? LittleEndian.integer(bytes32(part[from:])) : 0;
    }

    /// @dev The last row of the state: counter (low, high; below 2^64, see verifyChunk), length of the block, flags.
    function _parameters(uint256 counter, uint256 length, uint256 flags) private pure returns (uint256) {
        return (counter & WORD) | ((counter >> 32) << 64) | (length << 128) | (flags << 192);
    }

    /// @dev A chaining value out of its two rows.
    function _joined(uint256 low, uint256 high) private pure returns (uint256) {
        return _closed(low) | (_closed(high) << 128);
    }

    function _closed(uint256 row) private pure returns (uint256) {
        return (row & WORD) | ((row >> 32) & (WORD << 32)) | ((row >> 64) & (WORD << 64)) | ((row >> 96) & (WORD << 96));
    }

    /// @dev The compression. `m` and `n` are the first and the second eight words of the block, in 32-bit places: the even ones of `m` lie as a
    /// row does, and so do the odd ones once they are shifted, which is what the columns take; those of `n` are for the diagonals.
    function _compress(uint256 low, uint256 high, uint256 m, uint256 n, uint256 d) private pure returns (uint256, uint256) {
        (uint256 a, uint256 b, uint256 c) = (low, high, IV_LOW);
        for (uint256 round = 0; round < ROUNDS; ++round) {
            (a, b, c, d) = _quarters(a, b, c, d, m);
            // diagonals become columns, and columns again
            (b, c, d) = ((b >> 64) | (b << 192), (c >> 128) | (c << 128), (d >> 192) | (d << 64));
            (a, b, c, d) = _quarters(a, b, c, d, n);
            (b, c, d) = ((b >> 192) | (b << 64), (c >> 128) | (c << 128), (d >> 64) | (d << 192));
            (m, n) = _permuted(m, n);
        }
        return (a ^ c, b ^ d);
    }

    /// @dev Four quarter rounds side by side.
    function _quarters(uint256 a, uint256 b, uint256 c, uint256 d, uint256 words)
        private
        pure
        returns (uint256, uint256, uint256, uint256)
    {
        unchecked {
            // sums of three 32-bit numbers in slots of 64 bits
            a = (a + b + (words & MASK)) & MASK;
            d ^= a;
            d = ((d >> 16) | (d << 16)) & MASK;
            c = (c + d) & MASK;
            b ^= c;
            b = ((b >> 12) | (b << 20)) & MASK;
            a = (a + b + ((words >> 32) & MASK)) & MASK;
            d ^= a;
            d = ((d >> 8) | (d << 24)) & MASK;
            c = (c + d) & MASK;
            b ^= c;
            b = ((b >> 7) | (b << 25)) & MASK;
        }
        return (a, b, c, d);
    }

    /// @dev The words of the next round: 2, 6, 3, 10, 7, 0, 4, 13 and 1, 11, 12, 5, 9, 14, 15, 8 of this one.
    function _permuted(uint256 m, uint256 n) private pure returns (uint256 p, uint256 q) {
        p = ((m >> 64) & WORD) | ((m >> 160) & (WORD << 32)) | ((m >> 32) & (WORD << 64)) | ((n << 32) & (WORD << 96));
        p |= ((m >> 96) & (WORD << 128)) | ((m << 160) & (WORD << 160)) | ((m << 64) & (WORD << 192)) | ((n << 64) & (WORD << 224));
        q = ((m >> 32) & WORD) | ((n >> 64) & (WORD << 32)) | ((n >> 64) & (WORD << 64)) | ((m >> 64) & (WORD << 96));
        q |= ((n << 96) & (WORD << 128)) | ((n >> 32) & (WORD << 160)) | ((n >> 32) & (WORD << 192)) | ((n << 224) & (WORD << 224));
    }
}
