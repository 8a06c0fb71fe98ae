*** Settings ***
Documentation       Run by Renode's own runner: a machine that this suite makes, judged by the library and by what Renode says of
...                 its bus. FIRMWARE holds pairs by variant, EXPORTED what `rptwin export-renode` wrote for BOARD.
Library             orchestrator.robot.RptunInRenode

*** Variables ***
${BOARD}            stm32h745
${SECONDS}          0.06

*** Test Cases ***
A Healthy Pair Is Right
    [Template]    Should Be Right
    demo
    two-vdevs

A Faulty Pair Fails With Its Cause
    [Template]    Should Be Wrong
    align3            vring.align-not-power-of-two
    past-carveout     vring.outside-carveout
    no-driver-ok      vdev.driver-ok-not-reached
    crash-remote      remote (*) is in the handler of a BusFault, at 0x* (*)
    lockup            main (*) has locked up

An Emulation That Runs Goes On
    Load    demo
    Start Emulation
    Rptun Should Come Up Within A While
    ${runs}=    Execute Command    emulation IsStarted
    Should Contain    ${runs}    True

A Core That The Machine Lacks Is Refused
    Load    demo
    Run Keyword And Expect Error    *no such core: expected * found sysbus.cpu9*    Judge    demo    main_core=sysbus.cpu9

*** Keywords ***
Load
    [Arguments]    ${variant}
    Execute Command    Clear
    Execute Command    $main=@${FIRMWARE}/${variant}/main.elf
    Execute Command    $remote=@${FIRMWARE}/${variant}/remote.elf
    Execute Script    ${EXPORTED}/${BOARD}.resc

Judge
    [Arguments]    ${variant}    &{options}
    Rptun Should Be Up    ${FIRMWARE}/${variant}/main.elf    ${FIRMWARE}/${variant}/remote.elf    &{options}

Rptun Should Come Up Within A While
    Wait Until Keyword Succeeds    60s    1s    Judge    demo

Should Be Right
    [Arguments]    ${variant}
    Load    ${variant}
    Execute Command    emulation RunFor "${SECONDS}"
    Judge    ${variant}

Should Be Wrong
    [Arguments]    ${variant}    ${cause}
    Load    ${variant}
    Execute Command    emulation RunFor "${SECONDS}"
    Run Keyword And Expect Error    RPTUN is not right\n*${cause}*    Judge    ${variant}
