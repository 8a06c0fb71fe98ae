*** Settings ***
Documentation       What no board shows: stale caches, missing barriers, and what becomes of a pair when something goes wrong.
...                 Each needs the Unicorn engine.
Resource            pair.resource
Suite Setup         Skip If    $ENGINE != 'unicorn'    only the Unicorn engine has these

*** Test Cases ***
Cache Maintenance That Is Missing
    [Tags]    data-cache
    Power On With    cached-no-clean    coherence=report
    Run Until The End
    Finding Should Be Reported    cache.write-stayed

Cache Maintenance That Is There
    [Tags]    data-cache
    Power On With    cached    coherence=real
    Run Until The End
    Rptun Should Be Up

Barriers That Are There
    Power On With    demo    order=${True}
    Run Until The End
    Rptun Should Be Up
    There Should Be No Findings

A Remote That Is Reset Is Set Up Anew
    ${faults}=    Create List    reset:remote:20ms
    Power On With    demo    faults=${faults}
    Run Until The End
    Rptun Should Be Up

A Notification That Is Lost
    [Documentation]    Nobody rings again: the mailbox is as if nobody had rung.
    ${faults}=    Create List    lost:remote:1
    Power On With    demo    faults=${faults}
    Run Until The End
    Finding Should Be Reported    notification.not-taken

*** Keywords ***
Power On With
    [Documentation]    As Power On, with options of Start Board.
    [Arguments]    ${variant}    &{options}
    Start Board    ${PLATFORM}    ${FIRMWARE}/${variant}/main.elf    ${FIRMWARE}/${variant}/remote.elf
    ...    engine=${ENGINE}    &{options}
