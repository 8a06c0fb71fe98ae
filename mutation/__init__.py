"""Small faults put into rptwin one at a time: does a test notice?"""
