*** Settings ***
Documentation       One story on three boards: both images, a lone remote under the Python host, a lone main with the Python
...                 remote. RPTUN comes up on each of them, and nothing is wrong.
Resource            pair.resource
Test Template       Messages Are Echoed

*** Variables ***
${ENDPOINT}         rptwin-echo
# Where main looks for the table: with no image of the remote, nothing else says so.
&{TABLES}           stm32h745=remote:0x10040000    nrf5340=remote:0x20070000    mps2_an521=remote:0x28200000
# The channels on which main and the remote listen, where the mailbox does not show them.
&{MAIN_HEARS}       mps2_an521=${{ {'mhu0': 1} }}
&{REMOTE_HEARS}     mps2_an521=${{ {'mhu0': 0} }}

*** Test Cases ***
Both Images                 main.elf    remote.elf
A Remote Alone              ${NONE}     remote.elf
A Main Alone                main.elf    ${NONE}

The Host Talks To The Remote
    [Template]    NONE
    Board Of    ${NONE}    remote.elf
    Start Remote
    Message Should Come Back    ${ENDPOINT}    hello
    Remote Trace Should Contain    driver ok
    Host Should Be    running

The Remote Is Stopped And Started Again And Again
    [Template]    NONE
    Board Of    ${NONE}    remote.elf
    FOR    ${round}    IN RANGE    10
        Restart Remote
        Message Should Come Back    ${ENDPOINT}    round ${round}
    END
    Stop Remote
    Host Should Be    offline
    Host Should Not Leak

A Crashed Remote Comes Back
    [Template]    NONE
    Board Of    ${NONE}    remote.elf
    Start Remote
    Crash Remote
    Host Should Be    crashed
    Recover Remote
    Message Should Come Back    ${ENDPOINT}    back

*** Keywords ***
Board Of
    [Arguments]    ${main}    ${remote}
    ${first}=    Set Variable If    $main is None    ${NONE}    ${FIRMWARE}/demo/${main}
    ${second}=    Set Variable If    $remote is None    ${NONE}    ${FIRMWARE}/demo/${remote}
    ${table}=    Set Variable If    $remote is None    ${TABLES}[${PLATFORM}]    ${NONE}
    ${heard}=    Set Variable If    $remote is None    ${MAIN_HEARS}    ${REMOTE_HEARS}
    ${notify}=    Evaluate    $heard.get($PLATFORM, {})
    Power On    demo
    Skip Without Capability    play
    Start Board    ${PLATFORM}    ${first}    ${second}    engine=${ENGINE}    table=${table}
    ...    notify=${notify}

Messages Are Echoed
    [Arguments]    ${main}    ${remote}
    Board Of    ${main}    ${remote}
    Run Until Quiet
    Both Cores Should See The Same Table
    Every Vring Should Be Inside Its Carveout
    Vdev Should Be At DRIVER_OK
    Endpoint Should Be Announced    ${ENDPOINT}
    Should Have Sent At Least    remote    1
    Every Message Should Have Been Consumed
    There Should Be No Findings
    Rptun Should Be Up
