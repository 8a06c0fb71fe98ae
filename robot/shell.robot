*** Settings ***
Documentation       A person at the consoles: main's shell on one UART, the remote's on another, and the remote's log in
...                 its trace buffer.
Resource            pair.resource
Suite Setup         Boot And Open The Consoles

*** Test Cases ***
Main Lists Its Commands
    Write Line To Uart    help    testerId=${MAIN}
    Wait For Line On Uart    ping N LEN    testerId=${MAIN}
    Wait For Prompt On Uart    main>    testerId=${MAIN}

Pings Are Sent When They Are Asked For
    ${before}=    Get Message Count    remote
    Write Line To Uart    ping 3 64    testerId=${MAIN}
    ${line}=    Wait For Line On Uart    vdev 0: (\\d+) pings: (\\d+) good    treatAsRegex=True    testerId=${MAIN}
    Should Be Equal    ${line.Groups}[1]    3
    ${after}=    Get Message Count    remote
    Should Be Equal As Integers    ${after}    ${before + 3}

Each Core Tells Its Status
    Write Line To Uart    status    testerId=${MAIN}
    Wait For Line On Uart    vdev 0: status 0x07    testerId=${MAIN}
    Write Line To Uart    status    testerId=${REMOTE}
    Wait For Line On Uart    up, \\d+ echoed    treatAsRegex=True    testerId=${REMOTE}

What The Remote Logs Stands In Its Trace Buffer
    Write Line To Uart    log rptwin was here    testerId=${REMOTE}
    Wait For Line On Uart    rptwin was here    testerId=${TRACE}

A Console Is Silent When Nobody Types
    Test If Uart Is Idle    50 ms    testerId=${MAIN}

RPTUN Can Be Taken Down
    [Tags]    snapshot
    Rptun Should Be Up
    ${running}=    Take Snapshot
    Write Line To Uart    stop    testerId=${MAIN}
    Wait For Line On Uart    stopped    testerId=${MAIN}
    Rptun Should Not Be Up
    Restore Snapshot    ${running}
    Rptun Should Be Up

*** Keywords ***
Boot And Open The Consoles
    Boot    demo
    ${id}=    Create Terminal Tester    main
    VAR    ${MAIN}    ${id}    scope=SUITE
    ${id}=    Create Terminal Tester    remote
    VAR    ${REMOTE}    ${id}    scope=SUITE
    ${id}=    Create Terminal Tester    remote.trace
    VAR    ${TRACE}    ${id}    scope=SUITE
    Wait For Prompt On Uart    main>    testerId=${MAIN}
