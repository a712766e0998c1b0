// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "./IParticipationLedger.sol";

/// @title Jobs: money for training steps that closed clean, who may work on what, delivery, evaluation, refunds
/// @notice A job is a swarm of its own with an escrow; the job's id is the swarm's. Its solvers and verifiers are members of that swarm:
/// they stake, commit and are audited there. A job has one or more parts, each an unbroken chain of clean epochs from the swarm's base
/// state, worked on by one solver at a time.
///
/// Times, with L the longest case and E an epoch of the swarm, W the offer's window: epochs count that end until the deadline, they are
/// accepted until A = deadline + L + 2 E, models are delivered until A + W, seeders attest one for W after its delivery, so at A + 2 W at
/// the latest, or once every part is delivered, the job is done. With a target score the submitter then has W to open the evaluation,
/// the seeders W to commit scores and W to reveal them. After that anyone settles. Phases follow from the time; nobody has to call anything.
///
/// Money: `costOf` comes in with the offer, a bond with each claim; every payment is pulled with `withdraw`. Lost bonds are burned, so
/// that nobody, the submitter above all, lives off others' losses.
interface IComputeMarket {
    /// @notice What a submitter offers. Money in wei of the swarm's token, times in seconds.
    struct Offer {
        uint128 price; // for all `steps`, to the solvers
        uint128 perSegment; // to each right auditor for each drawn step
        uint128 plants; // budget for confirmed planted faults, at most a tenth of the price
        uint32 steps; // paid in all
        uint32 stepsEach; // of one part at most: independent solvers steps = parts x stepsEach; one job split over a swarm stepsEach = steps
        uint32 leastSteps; // an epoch with fewer pays the rest of its auditors' fees itself
        uint8 parts; // 1 to 64
        uint128 solverStake; // least active stake at a claim
        uint64 deadline;
        uint32 patience; // a part that gained fewer than leastSteps in it can be expired
        uint16 deliveryBps; // of the pay, kept back until the model is delivered and attested
        uint16 targetBps; // of the pay, kept back for the target score; 0: no evaluation
        uint32 target; // least score, in 1/10000
        bytes32 evaluation; // keccak256(abi.encode(digest of the evaluation's file, salt)); 0 without a target
        uint32 openWindow; // W
        bytes32 class; // determinism class of all solvers and of the seeders that open the job; 0: any, a weaker promise
    }

    enum JobPhase {
        Unknown,
        Seeding, // fewer than two seeders: no claims yet
        Working, // claims, accepted epochs, deliveries
        Opening, // the evaluation can be opened
        Scoring, // scores are committed
        Revealing, // and revealed
        Over, // it can be settled
        Settled
    }

    /// @notice A job as it stands.
    struct Job {
        address submitter;
        address token;
        JobPhase phase;
        bool cancelled;
        uint8 seeders; // operators that count towards the two
        uint64 deadline; // the offer's, or earlier once cancelled
        uint64 ends; // from when on it can be settled, as far as is known now
        uint32 steps; // accepted in all
        uint128 plants; // left of that budget
        uint256 escrow; // wei held for this job
    }

    /// @notice A part as it stands.
    struct Part {
        bytes32 key; // the solver's member; 0: free
        address operator;
        uint64 moved; // when it was claimed, or last gained leastSteps
        uint32 steps; // accepted, by all its solvers
        uint32 own; // by the present one
        uint32 pace; // gained since `moved`
        uint32 planted; // steps of planted epochs paid to the present one
        bool released; // what was kept back for the delivery is paid
        uint128 bond;
        uint128 kept; // back until delivery
        uint128 keptTarget; // back until the score is known
        uint256 fees; // paid to auditors out of the budget
        bytes32 root; // where the next epoch starts
        bytes32 checkpoint; // digest of the blob with the state at `root`, 0: not told
    }

    error JobExists(bytes32 job);
    error JobUnknown(bytes32 job);
    error JobPhaseWrong(JobPhase actual, JobPhase needed);
    error NotSubmitter(bytes32 job, address caller);
    error NotAgent(bytes32 key, address caller);
    error NotOperator(bytes32 key, address caller);
    /// @notice A number of the offer is out of bounds; `name` says which.
    error OfferOutOfBounds(bytes32 name, uint256 actual, uint256 limit);
    error BriefTooLong(uint256 actual, uint256 limit);
    error BeaconForeign(address actual, address expected);
    error MemberForeign(bytes32 job, bytes32 key);
    error StandingLost(bytes32 key);
    error StakeTooSmall(uint256 actual, uint256 limit);
    error ClassWrong(bytes32 actual, bytes32 expected);
    error SubmitterExcluded(bytes32 job);
    error SeederKnown(bytes32 job, address operator);
    error PartUnknown(uint256 part, uint256 parts);
    error PartTaken(bytes32 job, uint8 part, bytes32 key);
    error PartFree(bytes32 job, uint8 part);
    error PartComplete(bytes32 job, uint8 part);
    error OperatorBusy(bytes32 job, address operator, uint256 part);
    error KeyWrong(bytes32 actual, bytes32 expected);
    error HeaderUnknown(bytes32 key, uint32 epoch);
    error RootWrong(bytes32 actual, bytes32 expected);
    error EpochEmpty(bytes32 key, uint32 epoch);
    error EpochOld(uint32 epoch, uint32 next);
    error EpochLate(uint256 ends, uint256 deadline);
    error NotClean(bytes32 key, uint32 epoch, uint8 outcome);
    error NotPlanted(bytes32 key, uint32 epoch, uint8 outcome);
    error PlantsTooMany(uint256 actual, uint256 limit);
    error TooSoon(uint256 time, uint256 from);
    error TooLate(uint256 time, uint256 until);
    error NothingDelivered(bytes32 job, uint8 part);
    error NothingToPay();
    error TransferInexact(uint256 actual, uint256 expected);

    event Posted(bytes32 indexed job, address indexed submitter, Offer offer, uint256 cost, bytes brief);
    event Seeded(bytes32 indexed job, bytes32 indexed key, address indexed operator);
    event Opened(bytes32 indexed job);
    /// @notice The part goes on from `root`: adopt it in the ledger. `checkpoint` is the blob with that state; 0: nobody told, or it is the base.
    event Claimed(bytes32 indexed job, uint8 indexed part, bytes32 indexed key, address operator, bytes32 root, bytes32 checkpoint, uint256 bond);
    event Quit(bytes32 indexed job, uint8 indexed part, bytes32 indexed key, bool bondBack);
    event Expired(bytes32 indexed job, uint8 indexed part, bytes32 indexed key, uint256 burned);
    /// @notice `paid` is due to the solver now, `kept` is kept back for it.
    event Accepted(
        bytes32 indexed job,
        uint8 indexed part,
        bytes32 indexed key,
        uint32 epoch,
        uint32 steps,
        bytes32 root,
        bytes32 checkpoint,
        uint256 paid,
        uint256 kept
    );
    event Completed(bytes32 indexed job, uint8 indexed part, bytes32 indexed key);
    event AuditorPaid(bytes32 indexed job, bytes32 indexed auditorKey, bytes32 indexed key, uint32 epoch, uint256 amount);
    event PlantPaid(bytes32 indexed job, uint8 indexed part, bytes32 indexed key, uint32 epoch, uint256 amount);
    event Released(bytes32 indexed job, uint8 indexed part, address indexed operator, uint256 amount);
    /// @notice What became of the part kept back for the score. `decided` is false where the seeders did not agree.
    event Scored(bytes32 indexed job, uint8 indexed part, bool decided, uint32 score, uint256 paid);
    event Collected(bytes32 indexed job, uint8 indexed part, address indexed operator, uint256 amount);
    event Cancelled(bytes32 indexed job, uint64 deadline);
    event Settled(bytes32 indexed job, uint256 refund);
    event Withdrawn(address indexed token, address indexed account, uint256 amount);

    /// @notice Offers a job (the swarm's creator, once; approve `costOf` first). `brief`, at most 4 KB, goes into the event only.
    function post(bytes32 job, Offer calldata offer, bytes calldata brief) external;
    /// @notice "I hold recipe, base model and data, and serve them" (agent of a member in good standing). The second operator opens the claims.
    function seed(bytes32 job, bytes32 key) external;
    /// @notice Takes a free part (operator of `key`; approve `bondOf` first). One part at a time for each operator of a job.
    function claim(bytes32 job, uint8 part, bytes32 key) external;
    /// @notice Gives a part back (agent). The bond returns if leastSteps were accepted or the job cancelled, else it is burned; what was kept
    /// back goes to whoever completes the part.
    function quit(bytes32 job, uint8 part) external;
    /// @notice Makes a part free whose solver has not moved for the offer's patience (anyone). The bond is burned.
    function expire(bytes32 job, uint8 part) external;
    /// @notice Pays a clean epoch that continues the part (its agent). `checkpoint` is the blob with the state at its end, from which another
    /// solver could go on.
    function accept(bytes32 job, uint8 part, IParticipationLedger.Header calldata header, bytes32 checkpoint) external;
    /// @notice Pays a planted fault that the auditors found (anyone): five quarters of what the epoch would have brought, for at most one
    /// step in sixteen that were accepted of the same solver, and four times their fees to the auditors; all as far as the budget goes.
    function payPlant(bytes32 job, uint8 part, IParticipationLedger.Header calldata header) external;
    /// @notice Pays what was kept back for an attested delivery (anyone). `settle` does so too.
    function release(bytes32 job, uint8 part) external;
    /// @notice Pays the caller, once the job is settled, its shares for an attestation and a score of this part that the others confirmed.
    function collect(bytes32 job, uint8 part) external;
    /// @notice The submitter ends the job. Epochs that end within two more epochs are still paid, and all that was kept back with them;
    /// with nobody at work the refund is due at once.
    function cancel(bytes32 job) external;
    /// @notice Closes a job that is over (anyone): kept back money, bonds, and the rest to the submitter.
    function settle(bytes32 job) external;
    /// @notice Pays `account` what is due to it in `token` (anyone). Lost bonds are due to 0x...dEaD.
    function withdraw(address token, address account) external;

    function offerOf(bytes32 job) external view returns (Offer memory);
    function jobOf(bytes32 job) external view returns (Job memory);
    function partOf(bytes32 job, uint8 part) external view returns (Part memory);
    function phaseOf(bytes32 job) external view returns (JobPhase);
    /// @notice Whether a part's steps are all accepted.
    function isComplete(bytes32 job, uint8 part) external view returns (bool);
    function isSettled(bytes32 job) external view returns (bool);
    function isSeeder(bytes32 job, address operator) external view returns (bool);
    /// @notice One more than the newest epoch of a member that was accepted.
    function nextOf(bytes32 key) external view returns (uint32);
    /// @notice Chain times: epochs are accepted until `accepts`, models delivered until `delivers`; all parts were decided at `done`, or will
    /// be at the latest.
    function timesOf(bytes32 job) external view returns (uint256 accepts, uint256 delivers, uint256 done, uint256 ends);
    /// @notice Last second for deliveries.
    function deliversUntil(bytes32 job) external view returns (uint256);
    /// @notice What `post` takes in a swarm that draws `segments` steps of a commitment.
    function costOf(Offer calldata offer, uint16 segments) external pure returns (uint256);
    /// @notice What `claim` takes.
    function bondOf(Offer calldata offer) external pure returns (uint256);
    function due(address token, address account) external view returns (uint256);
    /// @notice All wei of `token` that this contract owes to anyone.
    function held(address token) external view returns (uint256);
}
