// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Programs that admit operators by their verified history, and frozen snapshots of what everyone did
/// @notice Anyone may start a program with rules of its own, fixed for ever; nobody owns the contract. What a program asks for is a row of
/// bars, one for each tier, each at least as high as the one before. A tier once reached stays.
///
/// Units, clean epochs and verdicts are read from the other contracts. Where a bar is `judged` it takes a word of the program's council as
/// well, for what no contract sees: the record in the judge market. The council can hold back only such tiers, never admit below a bar, and
/// its word counts after a delay. Whoever it refuses, or leaves without an answer, may appeal once per application; an appeal that is not
/// answered in time is won.
interface IPioneerProgram {
    struct Rules {
        bytes32 swarm; // whose ledger counts
        address council; // zero: none
        uint32 delay; // seconds from a decision of the council until it can be carried out
        uint32 answer; // seconds in which an answer to an appeal has to be carried out
    }

    /// @notice What a tier asks for, all of it; sums over the keys that the application names.
    struct Bar {
        uint128 units; // verified work units
        uint32 epochs; // own epochs that closed clean and were scored
        uint32 verdicts; // verdicts as a drawn auditor or juror that the end of the case agreed with
        bool judged; // and the council's word
    }

    /// @notice `operator` signs EIP-712
    /// Application(bytes32 program,address operator,bytes32 statement,bytes32[] keys,uint32 number,uint64 expires); anyone may bring it.
    struct Application {
        bytes32 program;
        address operator;
        bytes32 statement; // digest of a text that stays off chain
        bytes32[] keys; // member keys of the operator in the program's swarm, rising
        uint32 number; // how many applications the operator has made to the program before, so that none counts twice
        uint64 expires; // chain time
    }

    /// @notice A verdict: case (key, epoch), its panel (level, roll), and the auditor by its place among the application's keys.
    struct Duty {
        bytes32 key;
        uint32 epoch;
        uint8 level;
        uint8 roll;
        uint8 seat;
    }

    struct Pioneer {
        uint32 applications;
        uint32 appealed; // the application that was appealed for, counting from 1; 0: none
        uint8 tier; // 0: not admitted
        uint8 endorsed; // the highest tier that the council speaks for
        uint8 proposed; // its decision on the way
        uint64 due; // chain time from which that can be carried out, 0: none is on the way
        uint64 answerBy; // chain time by which an appeal has to be answered, 0: none is open
        bytes32 keys; // keccak256(abi.encode(keys)) of the application
        bytes32 statement;
        bytes32 code; // reason of the decision on the way
        bytes32 text;
    }

    error ProgramExists(bytes32 program);
    error ProgramUnknown(bytes32 program);
    /// @notice A rule is out of bounds; `name` says which.
    error RuleOutOfBounds(bytes32 name, uint256 actual, uint256 limit);
    error ApplicationExpired(uint256 time, uint256 expires);
    error ApplicationOutOfTurn(uint256 actual, uint256 expected);
    error ApplicationUnknown(bytes32 program, address operator);
    error SignerWrong(address actual, address expected);
    error KeysUnordered(bytes32 key);
    error KeysWrong(bytes32 actual, bytes32 expected);
    error KeyOfAnother(bytes32 key, address operator);
    error TooMany(uint256 actual, uint256 limit);
    error DutiesUnordered(uint256 index);
    error DutyWrong(uint256 index);
    /// @notice `what` of the next tier ("units", "epochs", "verdicts", "council") is missing, or "tiers": there is none.
    error BarMissed(bytes32 what, uint256 actual, uint256 limit);
    error NotCouncil(address caller, address council);
    error ReasonMissing();
    error TierUnknown(uint256 tier, uint256 tiers);
    error NothingDecided(bytes32 program, address operator);
    error DecisionDelayed(uint256 time, uint256 due);
    error AppealTwice(bytes32 program, address operator);
    error AppealMissing(bytes32 program, address operator);
    error AppealOpen(uint256 time, uint256 answerBy);
    error NotFrozen(uint256 time, uint256 frozenAt);
    error AlreadyPosted(bytes32 program, uint32 epoch, bytes32 root);
    error RootMissing();

    event ProgramStarted(bytes32 indexed program, address indexed creator, Rules rules, Bar[] bars, bytes32 text);
    event Applied(bytes32 indexed program, address indexed operator, uint32 number, bytes32 statement, bytes32[] keys);
    /// @notice A decision of the council is on its way: it speaks for `tier` from `due` on; 0 is a refusal.
    event Proposed(bytes32 indexed program, address indexed operator, uint8 tier, bytes32 code, bytes32 text, uint64 due);
    /// @notice It counts now.
    event Decided(bytes32 indexed program, address indexed operator, uint8 tier, bytes32 code, bytes32 text);
    event Appealed(bytes32 indexed program, address indexed operator, bytes32 statement, uint64 answerBy);
    /// @notice The operator has reached `tier`. The reason is its history: `text` is keccak256(abi.encode(units, epochs, verdicts)).
    event Admitted(
        bytes32 indexed program, address indexed operator, uint8 tier, bytes32 code, bytes32 text, uint256 units, uint256 epochs, uint256 verdicts
    );
    /// @notice Somebody says that this is the tree of all operators as they stood; `list` is the digest of its leaves' file.
    event Posted(bytes32 indexed program, uint32 indexed epoch, bytes32 root, uint32 count, bytes32 list, address poster);

    /// @notice Starts a program named keccak256(abi.encode(caller, salt)); `text` is the digest of what it is for.
    function start(bytes32 salt, Rules calldata rules, Bar[] calldata bars, bytes32 text) external returns (bytes32 program);
    /// @notice Brings a signed application (anyone). A later one replaces it; tiers and the council's word stay.
    function submit(Application calldata application, bytes calldata signature) external;
    /// @notice Admits an applicant to the highest tier whose bar it meets (anyone). `keys` are those of its application; `duties` rise by
    /// keccak256(abi.encode(duty)) and are needed as far as bars ask for verdicts.
    function admit(bytes32 program, address operator, bytes32[] calldata keys, Duty[] calldata duties) external;
    /// @notice The council's word for tiers up to `tier` (0: a refusal) with its reason: a code, and the digest of a text. One that is on its
    /// way already is replaced, and its delay begins anew.
    function decide(bytes32 program, address operator, uint8 tier, bytes32 code, bytes32 text) external;
    /// @notice Lets a decision count whose delay is over (anyone). It answers an open appeal.
    function carryOut(bytes32 program, address operator) external;
    /// @notice The applicant asks the council to decide, or to decide again; `statement` is the digest of why.
    function appeal(bytes32 program, bytes32 statement) external;
    /// @notice Grants an appeal that was not answered in time (anyone): the council's word is taken as given for all tiers.
    function grant(bytes32 program, address operator) external;
    /// @notice Posts a root once the snapshot is frozen (anyone). Nothing is paid because a root says so: see IDistributor.
    function post(bytes32 program, uint32 epoch, bytes32 root, uint32 count, bytes32 list) external;

    function programOf(address creator, bytes32 salt) external pure returns (bytes32);
    function rulesOf(bytes32 program) external view returns (Rules memory);
    function barsOf(bytes32 program) external view returns (Bar[] memory);
    function pioneerOf(bytes32 program, address operator) external view returns (Pioneer memory);
    /// @notice Chain time at which a snapshot is taken: the last moment at which a case about `epoch` can close.
    function frozenAt(bytes32 program, uint32 epoch) external view returns (uint256);
    /// @notice What stood then: units of an operator's keys (rising), its tier, and the units of everyone.
    function frozenUnits(bytes32 program, uint32 epoch, address operator, bytes32[] calldata keys) external view returns (uint256);
    function frozenTier(bytes32 program, uint32 epoch, address operator) external view returns (uint8);
    function frozenTotal(bytes32 program, uint32 epoch) external view returns (uint256);
    function isPosted(bytes32 program, uint32 epoch, bytes32 root) external view returns (bool);
    /// @notice Leaf of OpenZeppelin's standard tree. `score` in thousandths of a point.
    function leafOf(bytes32 program, uint32 epoch, address operator, uint64 score, uint256 units, uint8 tier) external pure returns (bytes32);
}
