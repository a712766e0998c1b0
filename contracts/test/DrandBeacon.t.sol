// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DrandBeacon, IDrandBeacon} from "../src/beacon/DrandBeacon.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Bls12381} from "../src/lib/Bls12381.sol";
import {DrandVectors} from "./DrandVectors.t.sol";

interface DrandVm {
    function warp(uint256 time) external;
    function prank(address sender) external;
    function assume(bool condition) external pure;
    function expectRevert(bytes calldata reason) external;
    function expectEmit(address emitter) external;
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
    function clearMockedCalls() external;
}

/// @notice Stands for the registry: the same terms for every swarm.
contract DrandRegistry {
    ISwarmRegistry.Terms private _terms;

    constructor(uint64 start, uint32 epoch, uint32 grace) {
        (_terms.start, _terms.epoch, _terms.grace) = (start, epoch, grace);
    }

    function termsOf(bytes32) external view returns (ISwarmRegistry.Terms memory) {
        return _terms;
    }
}

contract DrandBeaconTest {
    using DrandVectors for DrandVectors.Recorded;

    event log_named_uint(string name, uint256 value);

    DrandVm private constant VM = DrandVm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 private constant SWARM = keccak256("swarm");
    /// @dev A precompile that refuses its input burns all gas it is given; this bounds it.
    uint256 private constant GAS = 1_000_000;
    uint32 private constant EPOCH = 600;
    uint32 private constant GRACE = 300;
    uint32 private constant LAG = 30;

    DrandRegistry private _registry;
    DrandBeacon private _beacon;
    DrandVectors.Recorded[] private _rounds;

    function setUp() public {
        // the commit window of epoch 0 closes so that R(1) is round 1000: `LAG` and one second before the round
        uint64 start = uint64(_timeOf(1000)) - 1 - LAG - GRACE - EPOCH;
        _registry = new DrandRegistry(start, EPOCH, GRACE);
        _beacon = _deploy(DrandVectors.QUICKNET_KEY, DrandVectors.QUICKNET_GENESIS);
        DrandVectors.Recorded[] memory rounds = DrandVectors.quicknet();
        for (uint256 i; i < rounds.length; i++) _rounds.push(rounds[i]);
        VM.warp(_timeOf(40_000_000));
    }

    function test_submit_recordedRounds() public {
        for (uint256 i; i < _rounds.length; i++) {
            DrandVectors.Recorded memory recorded = _rounds[i];
            assert(_beacon.randomnessOf(recorded.round) == 0);
            VM.prank(address(uint160(i + 1)));
            VM.expectEmit(address(_beacon));
            emit IDrandBeacon.RoundRecorded(recorded.round, recorded.randomness, address(uint160(i + 1)));
            assert(_beacon.submit(recorded.round, recorded.pointOf()) == recorded.randomness);
            assert(_beacon.randomnessOf(recorded.round) == recorded.randomness);
            assert(sha256(recorded.compressed) == recorded.randomness);
        }
    }

    function test_submit_gas() public {
        DrandVectors.Recorded memory recorded = _round(1000);
        bytes memory data = abi.encodeCall(IDrandBeacon.submit, (recorded.round, recorded.pointOf()));
        uint256 calldataGas;
        for (uint256 i; i < data.length; i++) calldataGas += data[i] == 0 ? 4 : 16;
        uint256 before = gasleft();
        (bool success,) = address(_beacon).call(data);
        uint256 execution = before - gasleft();
        assert(success);
        before = gasleft();
        _beacon.submit(recorded.round, recorded.pointOf());
        uint256 again = before - gasleft();
        before = gasleft();
        _beacon.value(SWARM, 1);
        emit log_named_uint("submit, execution", execution);
        emit log_named_uint("submit, whole transaction", execution + calldataGas + 21_000);
        emit log_named_uint("submit of a recorded round, execution (warm)", again);
        emit log_named_uint("value, terms read for the first time", before - gasleft());
        assert(execution + calldataGas + 21_000 < 220_000);
    }

    function test_submit_again_changesNothing() public {
        DrandVectors.Recorded memory recorded = _submit(1000);
        assert(_beacon.submit(1000, _round(2).pointOf()) == recorded.randomness);
        assert(_beacon.randomnessOf(1000) == recorded.randomness);
    }

    function test_submit_wrongRound_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureInvalid.selector, uint64(1001)));
        _beacon.submit(1001, _round(1000).pointOf());
    }

    function testFuzz_submit_wrongRound_reverts(uint64 round) public {
        round = round % 30_000_000 + 4;
        VM.assume(round != 1000);
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureInvalid.selector, round));
        _beacon.submit(round, _round(1000).pointOf());
    }

    function testFuzz_submit_flippedBit_reverts(uint16 bit) public {
        bit %= 1024;
        bytes memory point = _round(1000).point;
        point[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        _expectRefused(1000, abi.decode(point, (Bls12381.G1)));
    }

    function test_submit_negated_reverts() public {
        Bls12381.G1 memory point = _round(1000).pointOf();
        point.y = _minus(point.y);
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureInvalid.selector, uint64(1000)));
        _beacon.submit(1000, point);
    }

    function test_submit_infinity_reverts() public {
        Bls12381.G1 memory infinity;
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureAtInfinity.selector));
        _beacon.submit(1000, infinity);
    }

    function test_submit_offCurve_reverts() public {
        Bls12381.G1 memory point = _round(1000).pointOf();
        point.y.lo += 1;
        _expectPointRefused(point);
    }

    function test_submit_outsideSubgroup_reverts() public {
        // on the curve: 4^3 + 4 is a square; not of prime order
        _expectPointRefused(
            Bls12381.G1(
                Bls12381.Fp(0, 4),
                Bls12381.Fp(0x0a989badd40d6212b33cffc3f3763e9b, 0xc760f988c9926b26da9dd85e928483446346b8ed00e1de5d5ea93e354abe706c)
            )
        );
    }

    /// @dev x + p is the same field element; if it were taken, one round would have several randomnesses.
    function test_submit_coordinateNotReduced_reverts() public {
        Bls12381.G1 memory point = _round(1000).pointOf();
        Bls12381.Fp memory x = point.x;
        unchecked {
            // the carry of the low half is wanted
            uint256 lo = x.lo + Bls12381.P_LO;
            point.x = Bls12381.Fp(x.hi + Bls12381.P_HI + (lo < x.lo ? 1 : 0), lo);
        }
        _expectPointRefused(point);
    }

    /// @dev Somebody submits the compressed half as it is, flag bits included.
    function test_submit_compressedFlagsInX_reverts() public {
        Bls12381.G1 memory point = _round(1000).pointOf();
        point.x.hi |= 0xa0 << 120;
        _expectPointRefused(point);
    }

    function test_submit_anotherNetwork_reverts() public {
        DrandVectors.Recorded memory foreign = DrandVectors.walkthrough();
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureInvalid.selector, foreign.round));
        _beacon.submit(foreign.round, foreign.pointOf());

        // the same signature is good under its own network's key, where quicknet's is not
        DrandBeacon other = _deploy(DrandVectors.WALKTHROUGH_KEY, 1687506816);
        assert(other.submit(foreign.round, foreign.pointOf()) == foreign.randomness);
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.SignatureInvalid.selector, uint64(1000)));
        other.submit(1000, _round(1000).pointOf());
    }

    function test_submit_beforeItsTime_reverts() public {
        uint256 due = _timeOf(1000);
        VM.warp(due - 1);
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.RoundTooEarly.selector, uint64(1000), due - 1, due));
        _beacon.submit(1000, _round(1000).pointOf());
        VM.warp(due);
        _submit(1000);
    }

    function test_submit_roundZero_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.RoundZero.selector));
        _beacon.submit(0, _round(1000).pointOf());
    }

    function test_value_onlyAfterSubmission() public {
        assert(_beacon.roundOf(SWARM, 1) == 1000);
        (bytes32 r, bool ready) = _beacon.value(SWARM, 1);
        assert(!ready && r == 0);
        DrandVectors.Recorded memory recorded = _submit(1000);
        (r, ready) = _beacon.value(SWARM, 1);
        assert(ready && r == keccak256(abi.encode(recorded.randomness, SWARM, uint32(1))));
    }

    function test_value_otherRounds_doNotMatter() public {
        for (uint256 i; i < _rounds.length; i++) {
            if (_rounds[i].round != 1000) _submit(_rounds[i].round);
        }
        (, bool ready) = _beacon.value(SWARM, 1);
        assert(!ready);
    }

    function test_value_bindsSwarmAndEpoch() public {
        // epochs shorter than a round: R(1) and R(2) come from the same signature
        _registry = new DrandRegistry(uint64(_timeOf(1000)) - 3, 1, 0);
        DrandBeacon beacon = new DrandBeacon(_asRegistry(), DrandVectors.key(DrandVectors.QUICKNET_KEY), _genesis(), 3, 0);
        assert(beacon.roundOf(SWARM, 1) == 1000 && beacon.roundOf(SWARM, 2) == 1000);
        beacon.submit(1000, _round(1000).pointOf());
        (bytes32 one,) = beacon.value(SWARM, 1);
        (bytes32 two, bool ready) = beacon.value(SWARM, 2);
        (bytes32 other,) = beacon.value(keccak256("another"), 1);
        assert(ready && one != two && one != other);
    }

    function test_value_epochZero_readyAtOnce() public view {
        (bytes32 r, bool ready) = _beacon.value(SWARM, 0);
        assert(ready && r != 0);
    }

    /// @dev A round signed in the very second in which the commit window (and `lag`) ends is not taken.
    function test_roundOf_isStrictlyLater() public {
        _registry = new DrandRegistry(uint64(_timeOf(1000)) - LAG - GRACE - EPOCH, EPOCH, GRACE);
        _beacon = _deploy(DrandVectors.QUICKNET_KEY, DrandVectors.QUICKNET_GENESIS);
        assert(_beacon.roundOf(SWARM, 1) == 1001);
        assert(_beacon.roundOf(SWARM, 2) == 1001 + EPOCH / DrandVectors.QUICKNET_PERIOD);
    }

    function test_roundAfter_edges() public view {
        uint64 genesis = DrandVectors.QUICKNET_GENESIS;
        assert(_beacon.roundAfter(0) == 1 && _beacon.roundAfter(genesis - 1) == 1);
        assert(_beacon.roundAfter(genesis) == 2 && _beacon.roundAfter(genesis + 2) == 2);
        assert(_beacon.roundAfter(genesis + 3) == 3);
    }

    function testFuzz_roundAfter_isTheFirstLater(uint64 time) public view {
        uint64 round = _beacon.roundAfter(time);
        assert(_beacon.timeOf(round) > time);
        assert(round == 1 || _beacon.timeOf(round - 1) <= time);
    }

    function testFuzz_roundOf_isAfterTheCommitWindow(uint32 epoch) public view {
        VM.assume(epoch > 0);
        uint256 closes = _registry.termsOf(SWARM).start + uint256(EPOCH) * epoch + GRACE;
        uint256 time = _beacon.timeOf(_beacon.roundOf(SWARM, epoch));
        assert(time > closes + LAG && time <= closes + LAG + DrandVectors.QUICKNET_PERIOD);
    }

    function test_views_tellTheNetwork() public view {
        (uint64 genesis, uint32 period, uint32 lag) = _beacon.schedule();
        assert(genesis == DrandVectors.QUICKNET_GENESIS && period == 3 && lag == LAG);
        assert(keccak256(abi.encode(_beacon.publicKey())) == keccak256(DrandVectors.QUICKNET_KEY));
        assert(keccak256(bytes(_beacon.kind())) == keccak256("drand"));
        assert(!_beacon.missed(SWARM, 1));
    }

    function test_constructor_periodZero_reverts() public {
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.PeriodZero.selector));
        new DrandBeacon(_asRegistry(), DrandVectors.key(DrandVectors.QUICKNET_KEY), _genesis(), 0, LAG);
    }

    /// @dev Under it the signature at infinity would be good for every round.
    function test_constructor_keyAtInfinity_reverts() public {
        Bls12381.G2 memory infinity;
        VM.expectRevert(abi.encodeWithSelector(IDrandBeacon.PublicKeyAtInfinity.selector));
        new DrandBeacon(_asRegistry(), infinity, _genesis(), 3, LAG);
    }

    function test_constructor_keyOffCurve_reverts() public {
        Bls12381.G2 memory key = DrandVectors.key(DrandVectors.QUICKNET_KEY);
        key.y1.lo ^= 1;
        _expectKeyRefused(key);
    }

    function test_constructor_keyOutsideSubgroup_reverts() public {
        _expectKeyRefused(
            Bls12381.G2(
                Bls12381.Fp(0, 2),
                Bls12381.Fp(0, 0),
                Bls12381.Fp(0x013a59858b6809fca4d9a3b6539246a7, 0x0051a3c88899964a42bc9a69cf9acdd9dd387cfa9086b894185b9a46a402be73),
                Bls12381.Fp(0x02d27e0ec3356299a346a09ad7dc4ef6, 0x8a483c3aed53f9139d2f929a3eecebf72082e5e58c6da24ee32e03040c406d4f)
            )
        );
    }

    function test_constructor_chainWithoutPrecompiles_reverts() public {
        VM.mockCall(address(0x0f), "", ""); // where there is no precompile, a call succeeds and answers nothing
        try new DrandBeacon(_asRegistry(), DrandVectors.key(DrandVectors.QUICKNET_KEY), _genesis(), 3, LAG) {
            assert(false);
        } catch (bytes memory reason) {
            assert(keccak256(reason) == keccak256(abi.encodeWithSelector(Bls12381.PrecompileMissing.selector, address(0x0f), 0, 32)));
        }
        VM.clearMockedCalls();
    }

    function _deploy(bytes memory key, uint64 genesis) private returns (DrandBeacon) {
        return new DrandBeacon(_asRegistry(), DrandVectors.key(key), genesis, DrandVectors.QUICKNET_PERIOD, LAG);
    }

    function _submit(uint64 round) private returns (DrandVectors.Recorded memory recorded) {
        recorded = _round(round);
        assert(_beacon.submit(round, recorded.pointOf()) == recorded.randomness);
    }

    function _expectPointRefused(Bls12381.G1 memory point) private {
        bytes memory reason = _expectRefused(1000, point);
        assert(keccak256(reason) == keccak256(abi.encodeWithSelector(Bls12381.PrecompileRefused.selector, address(0x0f))));
    }

    function _expectRefused(uint64 round, Bls12381.G1 memory point) private returns (bytes memory reason) {
        bool success;
        (success, reason) = address(_beacon).call{gas: GAS}(abi.encodeCall(IDrandBeacon.submit, (round, point)));
        assert(!success && _beacon.randomnessOf(round) == 0);
    }

    function _expectKeyRefused(Bls12381.G2 memory key) private {
        try new DrandBeacon(_asRegistry(), key, _genesis(), 3, LAG) {
            assert(false);
        } catch (bytes memory reason) {
            assert(keccak256(reason) == keccak256(abi.encodeWithSelector(Bls12381.PrecompileRefused.selector, address(0x0f))));
        }
    }

    function _round(uint64 round) private view returns (DrandVectors.Recorded memory) {
        for (uint256 i; i < _rounds.length; i++) {
            if (_rounds[i].round == round) return _rounds[i];
        }
        revert("not recorded");
    }

    function _minus(Bls12381.Fp memory a) private pure returns (Bls12381.Fp memory) {
        unchecked {
            // the borrow of the low half is wanted
            uint256 lo = Bls12381.P_LO - a.lo;
            return Bls12381.Fp(Bls12381.P_HI - a.hi - (lo > Bls12381.P_LO ? 1 : 0), lo);
        }
    }

    function _asRegistry() private view returns (ISwarmRegistry) {
        return ISwarmRegistry(address(_registry));
    }

    function _genesis() private pure returns (uint64) {
        return DrandVectors.QUICKNET_GENESIS;
    }

    function _timeOf(uint64 round) private pure returns (uint256) {
        return DrandVectors.QUICKNET_GENESIS + uint256(round - 1) * DrandVectors.QUICKNET_PERIOD;
    }
}
